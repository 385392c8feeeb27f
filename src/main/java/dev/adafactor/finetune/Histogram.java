package dev.adafactor.finetune;

import java.util.Arrays;
import java.util.List;
import org.tensorflow.ndarray.buffer.FloatDataBuffer;

/**
 * How numbers are distributed: in {@value #BUCKETS} buckets of equal width from the least to the
 * largest, as {@code tf.summary.histogram} has them by default. Numbers that are not finite are
 * left out.
 *
 * @param min the least; 0 without numbers
 * @param max the largest; 0 without numbers
 * @param sum of the numbers
 * @param sumOfSquares of the numbers
 * @param counts how many are in each bucket; a number on the edge of two is in the upper one
 */
public record Histogram(
    double min, double max, double sum, double sumOfSquares, List<Long> counts) {
  private static final int BUCKETS = 30;
  private static final int CHUNK = 1 << 14;

  /** How many numbers there are. */
  public long count() {
    return counts.stream().mapToLong(Long::longValue).sum();
  }

  /** The upper edge of a bucket. */
  public double upperEdge(int bucket) {
    return bucket == counts.size() - 1 ? max : min + (max - min) * (bucket + 1) / counts.size();
  }

  static Histogram of(FloatDataBuffer numbers) {
    Moments moments = new Moments();
    forEachChunk(numbers, moments::add);
    Buckets buckets = new Buckets(moments.min, moments.max);
    forEachChunk(numbers, buckets::add);
    return buckets.toHistogram(moments);
  }

  private interface Chunk {
    void accept(float[] numbers, int count);
  }

  private static void forEachChunk(FloatDataBuffer numbers, Chunk action) {
    float[] chunk = new float[(int) Math.min(CHUNK, numbers.size())];
    for (long from = 0; from < numbers.size(); from += chunk.length) {
      int count = (int) Math.min(chunk.length, numbers.size() - from);
      numbers.slice(from, count).read(chunk, 0, count);
      action.accept(chunk, count);
    }
  }

  private static final class Moments {
    private double min = Double.POSITIVE_INFINITY;
    private double max = Double.NEGATIVE_INFINITY;
    private double sum;
    private double sumOfSquares;

    void add(float[] numbers, int count) {
      for (int i = 0; i < count; i++) {
        float x = numbers[i];
        if (Float.isFinite(x)) {
          min = Math.min(min, x);
          max = Math.max(max, x);
          sum += x;
          sumOfSquares += (double) x * x;
        }
      }
    }
  }

  private static final class Buckets {
    private final double min;
    private final double scale;
    private final long[] counts = new long[BUCKETS];

    Buckets(double min, double max) {
      this.min = min;
      this.scale = max > min ? BUCKETS / (max - min) : 0;
    }

    void add(float[] numbers, int count) {
      for (int i = 0; i < count; i++) {
        float x = numbers[i];
        if (Float.isFinite(x)) {
          counts[Math.min((int) ((x - min) * scale), BUCKETS - 1)]++;
        }
      }
    }

    Histogram toHistogram(Moments moments) {
      List<Long> counted = Arrays.stream(counts).boxed().toList();
      return moments.min > moments.max
          ? new Histogram(0, 0, 0, 0, counted)
          : new Histogram(moments.min, moments.max, moments.sum, moments.sumOfSquares, counted);
    }
  }
}
