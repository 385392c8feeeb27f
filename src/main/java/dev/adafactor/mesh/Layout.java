package dev.adafactor.mesh;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.tensorflow.ndarray.Shape;

/**
 * How tensors of some rank are cut into shards over a mesh, as {@code
 * tf.experimental.dtensor.Layout}: each axis either stays whole or is cut along a mesh dimension.
 * Devices that are apart only along the other mesh dimensions have replicas of one shard.
 *
 * @param mesh of the devices
 * @param shardingSpecs for each axis the name of a mesh dimension, or {@link #UNSHARDED}
 */
public record Layout(Mesh mesh, List<String> shardingSpecs) {

  /** For an axis that stays whole. */
  public static final String UNSHARDED = "unsharded";

  private static final String ROWS = "x";
  private static final String COLUMNS = "y";

  /**
   * A part of a tensor.
   *
   * @param coordinates which part it is, a number along each axis of the tensor
   * @param devices that have it, by their place in the mesh; the first is its owner
   */
  public record Shard(List<Integer> coordinates, List<Integer> devices) {
    /** Keeps copies of the lists. */
    public Shard {
      coordinates = List.copyOf(coordinates);
      devices = List.copyOf(devices);
    }

    /** The device whose replica counts where one must be chosen. */
    public int owner() {
      return devices.get(0);
    }
  }

  /**
   * @throws IllegalArgumentException if the mesh has no dimension of a name, or one is given twice
   * @throws NullPointerException if one is null; it names which
   */
  public Layout {
    Objects.requireNonNull(mesh, "mesh");
    for (int axis = 0; axis < shardingSpecs.size(); axis++) {
      Objects.requireNonNull(
          shardingSpecs.get(axis),
          "shardingSpecs: axis %d has null; give a mesh dimension or UNSHARDED".formatted(axis));
    }
    shardingSpecs = List.copyOf(shardingSpecs);
    Set<String> seen = new HashSet<>();
    for (String spec : shardingSpecs) {
      if (!spec.equals(UNSHARDED)) {
        mesh.axis(spec);
        if (!seen.add(spec)) {
          throw new IllegalArgumentException(
              "two axes are cut along mesh dimension '%s'; it can cut only one".formatted(spec));
        }
      }
    }
  }

  /**
   * Every device has the whole tensor.
   *
   * @throws IllegalArgumentException if the rank is negative
   */
  public static Layout replicated(Mesh mesh, int rank) {
    if (rank < 0) {
      throw new IllegalArgumentException("rank is %d; 0 or more is wanted".formatted(rank));
    }
    return new Layout(mesh, Collections.nCopies(rank, UNSHARDED));
  }

  /**
   * The first axis is cut, the others are whole.
   *
   * @param batchDim the mesh dimension along which
   * @param rank at least 1
   */
  public static Layout batchSharded(Mesh mesh, String batchDim, int rank) {
    return batchSharded(mesh, batchDim, rank, 0);
  }

  /**
   * One axis is cut, the others are whole.
   *
   * @param batchDim the mesh dimension along which
   * @param rank at least 1
   * @param axis from 0 on
   * @throws IllegalArgumentException if there is no such axis
   */
  public static Layout batchSharded(Mesh mesh, String batchDim, int rank, int axis) {
    return sharded(mesh, batchDim, rank, axis);
  }

  /**
   * The last axis is cut, the others are whole.
   *
   * @param innerDim the mesh dimension along which
   * @param rank at least 1
   */
  public static Layout innerSharded(Mesh mesh, String innerDim, int rank) {
    return sharded(mesh, innerDim, rank, rank - 1);
  }

  private static Layout sharded(Mesh mesh, String dimension, int rank, int axis) {
    if (rank < 1) {
      throw new IllegalArgumentException(
          "rank is %d; 1 or more is wanted, for there must be an axis to cut".formatted(rank));
    }
    if (axis < 0 || axis >= rank) {
      throw new IllegalArgumentException(
          "axis is %d; of rank %d, 0 to %d are wanted".formatted(axis, rank, rank - 1));
    }
    List<String> specs = new ArrayList<>(Collections.nCopies(rank, UNSHARDED));
    specs.set(axis, dimension);
    return new Layout(mesh, specs);
  }

  /**
   * A layout for any shape: the last but one axis is cut along the mesh dimension {@code x}, the
   * last along {@code y}, the only one of a vector along {@code x}, each where the mesh has that
   * dimension and it divides the size. Along all others there are replicas.
   *
   * @param shape fully known
   */
  public static Layout ofMatrices(Mesh mesh, Shape shape) {
    int rank = shape.numDimensions();
    List<String> specs = new ArrayList<>(Collections.nCopies(rank, UNSHARDED));
    if (rank == 1) {
      cut(mesh, ROWS, shape, 0, specs);
    } else if (rank > 1) {
      cut(mesh, ROWS, shape, rank - 2, specs);
      cut(mesh, COLUMNS, shape, rank - 1, specs);
    }
    return new Layout(mesh, specs);
  }

  /** Whether {@link #ofMatrices} cuts anything along a dimension of the mesh. */
  public static boolean cutsMatrices(Mesh mesh) {
    return mesh.containsDim(ROWS) || mesh.containsDim(COLUMNS);
  }

  private static void cut(Mesh mesh, String dimension, Shape shape, int axis, List<String> specs) {
    if (mesh.containsDim(dimension) && shape.get(axis) % mesh.dimSize(dimension) == 0) {
      specs.set(axis, dimension);
    }
  }

  /** The number of axes. */
  public int rank() {
    return shardingSpecs.size();
  }

  /** Into how many parts an axis is cut. */
  public int numShards(int axis) {
    String spec = shardingSpecs.get(axis);
    return spec.equals(UNSHARDED) ? 1 : mesh.dimSize(spec);
  }

  /** Whether every device has the whole tensor. */
  public boolean isFullyReplicated() {
    return IntStream.range(0, rank()).allMatch(axis -> numShards(axis) == 1);
  }

  /** The layout of what has one value for each line along an axis. */
  public Layout without(int axis) {
    List<String> specs = new ArrayList<>(shardingSpecs);
    specs.remove(axis);
    return new Layout(mesh, specs);
  }

  /** The parts, each once, the last axis varying fastest. */
  public List<Shard> shards() {
    Map<List<Integer>, List<Integer>> devices = new LinkedHashMap<>();
    addShards(List.of(), devices);
    for (int device = 0; device < mesh.size(); device++) {
      devices.get(shardCoordinates(device)).add(device);
    }
    return devices.entrySet().stream().map(e -> new Shard(e.getKey(), e.getValue())).toList();
  }

  private void addShards(List<Integer> leading, Map<List<Integer>, List<Integer>> shards) {
    if (leading.size() == rank()) {
      shards.put(leading, new ArrayList<>());
      return;
    }
    for (int i = 0; i < numShards(leading.size()); i++) {
      List<Integer> longer = new ArrayList<>(leading);
      longer.add(i);
      addShards(longer, shards);
    }
  }

  private List<Integer> shardCoordinates(int device) {
    List<Integer> onMesh = mesh.coordinates(device);
    return shardingSpecs.stream()
        .map(spec -> spec.equals(UNSHARDED) ? 0 : onMesh.get(mesh.axis(spec)))
        .toList();
  }

  /**
   * Groups of shards that are apart only along an axis: each makes up a whole line.
   *
   * @return numbers of {@link #shards}
   */
  public List<List<Integer>> lines(int axis) {
    Map<List<Integer>, List<Integer>> lines = new LinkedHashMap<>();
    List<Shard> shards = shards();
    for (int i = 0; i < shards.size(); i++) {
      List<Integer> others = new ArrayList<>(shards.get(i).coordinates());
      others.remove(axis);
      lines.computeIfAbsent(others, key -> new ArrayList<>()).add(i);
    }
    return lines.values().stream().map(List::copyOf).toList();
  }

  /** As {@code [x, unsharded] over x=2,y=2}. */
  @Override
  public String toString() {
    return shardingSpecs + " over " + mesh;
  }
}
