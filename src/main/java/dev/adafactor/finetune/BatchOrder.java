package dev.adafactor.finetune;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Which examples each step sees. The last batch of an epoch is smaller where the batch size does
 * not divide the number of rows.
 */
final class BatchOrder {
  private final int rows;
  private final int batchSize;
  private final IntFunction<int[]> rowsOfEpoch;

  private BatchOrder(int rows, int batchSize, IntFunction<int[]> rowsOfEpoch) {
    this.rows = rows;
    this.batchSize = batchSize;
    this.rowsOfEpoch = rowsOfEpoch;
  }

  /** Every epoch in the order of the file. */
  static BatchOrder inFileOrder(int rows, int batchSize) {
    return new BatchOrder(rows, batchSize, epoch -> IntStream.range(0, rows).toArray());
  }

  /**
   * Every epoch in an order of its own: epoch {@code e}, from 0, is the Fisher-Yates permutation of
   * all rows by {@code new SplittableRandom(new SplittableRandom(seed).nextLong() + e)}. It depends
   * on the seed and the epoch alone, so that any epoch can be had again without those before it.
   */
  static BatchOrder shuffled(int rows, int batchSize, long seed) {
    return new BatchOrder(rows, batchSize, epoch -> permutation(rows, seed, epoch));
  }

  private static int[] permutation(int rows, long seed, int epoch) {
    SplittableRandom random = new SplittableRandom(new SplittableRandom(seed).nextLong() + epoch);
    int[] order = IntStream.range(0, rows).toArray();
    for (int i = rows - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int row = order[i];
      order[i] = order[j];
      order[j] = row;
    }
    return order;
  }

  /** How many batches an epoch has. */
  int batches() {
    return rows == 0 ? 0 : (rows - 1) / batchSize + 1;
  }

  /** The rows of each batch of an epoch, which counts from 0. */
  List<int[]> epoch(int epoch) {
    int[] order = rowsOfEpoch.apply(epoch);
    return new AbstractList<>() {
      @Override
      public int[] get(int batch) {
        int start = Math.multiplyExact(batch, batchSize);
        return Arrays.copyOfRange(order, start, start + Math.min(batchSize, rows - start));
      }

      @Override
      public int size() {
        return batches();
      }
    };
  }

  /** The parts of a batch, of the size given but for the last one, which may be smaller. */
  static Stream<int[]> parts(int[] batch, int size) {
    return IntStream.iterate(0, start -> start < batch.length, start -> start + size)
        .mapToObj(start -> Arrays.copyOfRange(batch, start, Math.min(batch.length, start + size)));
  }
}
