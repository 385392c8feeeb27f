package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.ndarray.Shape;

class ShardingTest {

  private static final String UNSHARDED = Layout.UNSHARDED;

  /** A layout of some rank over a mesh of up to three dimensions, and a shape that it cuts. */
  private static Sharding any(long seed, int rank) {
    Random random = new Random(seed);
    List<String> names = new ArrayList<>(List.of("x", "y", "z").subList(0, 1 + random.nextInt(3)));
    Mesh mesh =
        Mesh.virtualCpus(
            names.stream()
                .map(name -> name + "=" + (1 + random.nextInt(3)))
                .collect(Collectors.joining(",")));
    List<String> specs = new ArrayList<>();
    long[] shape = new long[rank];
    for (int axis = 0; axis < rank; axis++) {
      boolean cut = !names.isEmpty() && random.nextBoolean();
      specs.add(cut ? names.remove(random.nextInt(names.size())) : UNSHARDED);
      shape[axis] = (cut ? mesh.dimSize(specs.get(axis)) : 1) * (1L + random.nextInt(3));
    }
    return new Sharding(new Layout(mesh, specs), Shape.of(shape));
  }

  private static Set<List<Long>> elements(Sharding sharding, Layout.Shard shard) {
    Set<List<Long>> elements = Set.of(List.of());
    for (int axis = 0; axis < sharding.shape().numDimensions(); axis++) {
      Set<List<Long>> longer = new HashSet<>();
      for (List<Long> element : elements) {
        for (long i = 0; i < sharding.localShape().get(axis); i++) {
          List<Long> next = new ArrayList<>(element);
          next.add(sharding.offset(shard, axis) + i);
          longer.add(next);
        }
      }
      elements = longer;
    }
    return elements;
  }

  @Property(tries = 200)
  void shardsTileTheTensor(@ForAll long seed, @ForAll @IntRange(max = 4) int rank) {
    Sharding sharding = any(seed, rank);
    Set<List<Long>> all = new HashSet<>();
    long count = 0;
    for (Layout.Shard shard : sharding.layout().shards()) {
      Set<List<Long>> elements = elements(sharding, shard);
      assertEquals(sharding.localShape().size(), elements.size());
      count += elements.size();
      all.addAll(elements);
    }
    assertEquals(sharding.shape().size(), count);
    assertEquals(count, all.size());
    for (List<Long> element : all) {
      for (int axis = 0; axis < rank; axis++) {
        assertTrue(element.get(axis) < sharding.shape().get(axis));
      }
    }
  }

  @Property(tries = 200)
  void everyDeviceHasOneShardThatItsCoordinatesTell(
      @ForAll long seed, @ForAll @IntRange(max = 4) int rank) {
    Layout layout = any(seed, rank).layout();
    Map<Integer, Layout.Shard> ofDevices = new HashMap<>();
    for (Layout.Shard shard : layout.shards()) {
      assertEquals(shard.devices().stream().sorted().toList(), shard.devices());
      shard.devices().forEach(device -> ofDevices.put(device, shard));
      for (int device : shard.devices()) {
        for (int axis = 0; axis < rank; axis++) {
          String spec = layout.shardingSpecs().get(axis);
          int expected =
              spec.equals(UNSHARDED)
                  ? 0
                  : layout.mesh().coordinates(device).get(layout.mesh().dimNames().indexOf(spec));
          assertEquals(expected, shard.coordinates().get(axis));
        }
      }
    }
    assertEquals(
        IntStream.range(0, layout.mesh().size()).boxed().collect(Collectors.toSet()),
        ofDevices.keySet());
    assertEquals(layout.shards().size() == 1, layout.isFullyReplicated());
  }

  @Property(tries = 100)
  void linesAreShardsThatAreApartAlongOneAxis(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int rank) {
    Layout layout = any(seed, rank).layout();
    int axis = Math.floorMod(seed, rank);
    List<Integer> seen = new ArrayList<>();
    for (List<Integer> line : layout.lines(axis)) {
      assertEquals(layout.numShards(axis), line.size());
      seen.addAll(line);
      List<Integer> first = layout.shards().get(line.get(0)).coordinates();
      for (int i = 0; i < line.size(); i++) {
        List<Integer> expected = new ArrayList<>(first);
        expected.set(axis, i);
        assertEquals(expected, layout.shards().get(line.get(i)).coordinates());
      }
    }
    assertEquals(
        IntStream.range(0, layout.shards().size()).boxed().toList(),
        seen.stream().sorted().toList());
  }

  @Property(tries = 100)
  void withoutAnAxisTheOtherAxesAreCutAsBefore(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int rank) {
    Sharding sharding = any(seed, rank);
    int axis = Math.floorMod(seed, rank);
    Sharding rest = sharding.without(axis);
    assertEquals(rank - 1, rest.shape().numDimensions());
    for (int i = 0; i < rank - 1; i++) {
      int same = i < axis ? i : i + 1;
      assertEquals(sharding.shape().get(same), rest.shape().get(i));
      assertEquals(sharding.localShape().get(same), rest.localShape().get(i));
    }
  }

  private static final Mesh MESH = Mesh.virtualCpus("x=2,y=3");

  @Example
  void hasTheNamesOfDtensor() {
    assertEquals(new Layout(MESH, List.of("x", UNSHARDED)), Layout.batchSharded(MESH, "x", 2));
    assertEquals(new Layout(MESH, List.of(UNSHARDED, "y")), Layout.innerSharded(MESH, "y", 2));
    assertEquals(new Layout(MESH, List.of(UNSHARDED, UNSHARDED)), Layout.replicated(MESH, 2));
    assertEquals(
        new Layout(MESH, List.of(UNSHARDED, "x", UNSHARDED)), Layout.batchSharded(MESH, "x", 3, 1));
    assertEquals("[x, unsharded] over x=2,y=3", Layout.batchSharded(MESH, "x", 2).toString());
  }

  @Example
  void refusesWhatDoesNotDivide() {
    assertEquals(
        "axis 1 of shape [4, 5] has size 5, which mesh dimension 'y' of size 3 does not divide;"
            + " shards are of one size, so leave the axis UNSHARDED or pad it",
        message(() -> new Sharding(new Layout(MESH, List.of("x", "y")), Shape.of(4, 5))));
  }

  @Example
  void refusesOtherRanksAndUnknownSizes() {
    assertEquals(
        "the layout [x] over x=2,y=3 is for rank 1, but shape [4, 5] has rank 2",
        message(() -> new Sharding(new Layout(MESH, List.of("x")), Shape.of(4, 5))));
    assertEquals(
        "shape [-1, 5] is not fully known, as it must be to be cut",
        message(() -> new Sharding(Layout.replicated(MESH, 2), Shape.of(Shape.UNKNOWN_SIZE, 5))));
  }

  @Example
  void refusesDimensionsThatCannotCut() {
    assertEquals(
        "the mesh x=2,y=3 has no dimension 'z'", message(() -> new Layout(MESH, List.of("z"))));
    assertEquals(
        "two axes are cut along mesh dimension 'x'; it can cut only one",
        message(() -> new Layout(MESH, List.of("x", "x"))));
    assertEquals(
        "rank is 0; 1 or more is wanted, for there must be an axis to cut",
        message(() -> Layout.batchSharded(MESH, "x", 0)));
    assertEquals(
        "axis is 2; of rank 2, 0 to 1 are wanted",
        message(() -> Layout.batchSharded(MESH, "x", 2, 2)));
    assertEquals("rank is -1; 0 or more is wanted", message(() -> Layout.replicated(MESH, -1)));
  }

  private static String message(Runnable refused) {
    return assertThrows(IllegalArgumentException.class, refused::run).getMessage();
  }

  @Example
  void emptyTensorsHaveEmptyShards() {
    Sharding sharding = new Sharding(new Layout(MESH, List.of("x", "y")), Shape.of(0, 3));
    assertEquals(Shape.of(0, 1), sharding.localShape());
    assertEquals(6, sharding.layout().shards().size());
    assertEquals(0, Arrays.stream(sharding.localShape().asArray()).reduce(1, (a, b) -> a * b));
  }
}
