package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class BatchOrderTest {

  private static int[] flat(List<int[]> batches) {
    return batches.stream().flatMapToInt(Arrays::stream).toArray();
  }

  @Property
  void everyEpochSeesEveryRowOnce(
      @ForAll @IntRange(max = 300) int rows,
      @ForAll @IntRange(min = 1, max = 400) int batchSize,
      @ForAll long seed,
      @ForAll @IntRange(max = 1000) int epoch) {
    BatchOrder order = BatchOrder.shuffled(rows, batchSize, seed);
    List<int[]> batches = order.epoch(epoch);
    assertEquals(order.batches(), batches.size());
    for (int i = 0; i < batches.size(); i++) {
      assertEquals(Math.min(batchSize, rows - i * batchSize), batches.get(i).length);
    }
    int[] all = flat(batches);
    assertArrayEquals(all, flat(BatchOrder.shuffled(rows, batchSize, seed).epoch(epoch)));
    Arrays.sort(all);
    assertArrayEquals(IntStream.range(0, rows).toArray(), all);
  }

  @Test
  void ordersDifferBetweenEpochsAndSeeds() {
    int[] first = flat(BatchOrder.shuffled(100, 100, 1).epoch(0));
    int[] second = flat(BatchOrder.shuffled(100, 100, 1).epoch(1));
    int[] otherSeed = flat(BatchOrder.shuffled(100, 100, 2).epoch(0));
    assertFalse(Arrays.equals(first, second));
    assertFalse(Arrays.equals(first, otherSeed));
    assertFalse(Arrays.equals(second, otherSeed));
  }

  @Test
  void theOrderStaysTheSameFromReleaseToRelease() {
    assertArrayEquals(
        new int[] {5, 6, 1, 3, 0, 7, 2, 4}, flat(BatchOrder.shuffled(8, 3, 1).epoch(2)));
  }

  @Test
  void theOrderOfTheFileKeepsTheLastSmallerBatch() {
    List<int[]> batches = BatchOrder.inFileOrder(5, 2).epoch(3);
    assertArrayEquals(new int[] {0, 1}, batches.get(0));
    assertArrayEquals(new int[] {2, 3}, batches.get(1));
    assertArrayEquals(new int[] {4}, batches.get(2));
    assertEquals(3, batches.size());
  }

  @Test
  void aBatchMayBeLargerThanTheData() {
    BatchOrder order = BatchOrder.inFileOrder(5, Integer.MAX_VALUE);
    assertEquals(1, order.batches());
    assertArrayEquals(new int[] {0, 1, 2, 3, 4}, order.epoch(0).get(0));
  }
}
