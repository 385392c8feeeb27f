package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.mesh.Mesh;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class BatchDivisionTest {

  private static BatchDivision of(String mesh) {
    return BatchDivision.of(Optional.of(Mesh.virtualCpus(mesh)));
  }

  @Test
  void takesTheFirstDeviceOfEachSlice() {
    assertEquals(
        List.of("/device:CPU:0", "/device:CPU:2", "/device:CPU:4"), of("batch=3,x=2").devices());
    assertEquals(List.of("/device:CPU:0", "/device:CPU:1"), of("x=3,batch=2").devices());
  }

  @Test
  void isNoneWithoutTheDimension() {
    assertEquals(List.of(), of("x=3").devices());
    assertEquals(List.of(), of("x=3,batch=1").devices());
    assertEquals(List.of(), BatchDivision.of(Optional.empty()).devices());
  }

  @Property
  void hasEachRowOnceInPartsOfOneSize(
      @ForAll @IntRange(max = 40) int rows, @ForAll @IntRange(min = 1, max = 9) int parts) {
    int[] all = IntStream.range(0, rows).map(row -> 7 * row).toArray();
    List<int[]> divided = BatchDivision.divided(all, parts).toList();
    assertEquals(parts, divided.size());
    assertArrayEquals(all, divided.stream().flatMapToInt(IntStream::of).toArray());
    List<Integer> sizes = new ArrayList<>();
    divided.forEach(part -> sizes.add(part.length));
    assertTrue(sizes.get(0) - sizes.get(parts - 1) <= 1, sizes::toString);
  }

  /** Says beforehand what the division of every run of an epoch comes to. */
  @Property
  void wantsAnExampleForEachDevice(
      @ForAll @IntRange(min = 1, max = 60) int rows,
      @ForAll @IntRange(min = 1, max = 30) int batchSize,
      @ForAll @IntRange(min = 1, max = 30) int partSize,
      @ForAll @IntRange(min = 2, max = 5) int devices) {
    boolean allHave =
        BatchOrder.inFileOrder(rows, batchSize).epoch(0).stream()
            .flatMap(batch -> BatchOrder.parts(batch, Math.min(batchSize, partSize)))
            .allMatch(run -> BatchDivision.divided(run, devices).allMatch(part -> part.length > 0));
    BatchDivision division = of("batch=" + devices);
    if (allHave) {
      assertDoesNotThrow(
          () -> division.requireExamples(rows, batchSize, Math.min(batchSize, partSize)));
    } else {
      assertThrows(
          IllegalArgumentException.class,
          () -> division.requireExamples(rows, batchSize, Math.min(batchSize, partSize)));
    }
  }

  @Test
  void saysWhichBatchIsTooSmall() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> of("batch=4").requireExamples(67, 32, 32));
    assertEquals(
        "mesh: batch=4 divides each batch, and of 67 rows in batches of 32 one has 3: choose a size"
            + " that leaves each device an example, or a smaller mesh",
        e.getMessage());
  }
}
