package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.buffer.DataBuffers;

class HistogramTest {
  private static final int BUCKETS = 30;

  private static Histogram of(float... numbers) {
    return Histogram.of(DataBuffers.of(numbers));
  }

  private static int inBuckets(Histogram histogram, int from, int to) {
    return histogram.counts().subList(from, to).stream().mapToInt(Long::intValue).sum();
  }

  @Property(tries = 200)
  void countsEachFiniteNumberInItsBucket(
      @ForAll @Size(min = 1, max = 100) List<Float> drawn, @ForAll boolean large) {
    float[] numbers = new float[large ? 50_000 : drawn.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = drawn.get(i % drawn.size());
    }
    Histogram histogram = of(numbers);
    double[] finite =
        IntStream.range(0, numbers.length)
            .mapToDouble(i -> numbers[i])
            .filter(Double::isFinite)
            .toArray();
    assertEquals(finite.length, histogram.count());
    assertEquals(BUCKETS, histogram.counts().size());
    assertEquals(Arrays.stream(finite).min().orElse(0), histogram.min());
    assertEquals(Arrays.stream(finite).max().orElse(0), histogram.max());
    double sum = Arrays.stream(finite).map(Math::abs).sum();
    assertEquals(Arrays.stream(finite).sum(), histogram.sum(), 1e-9 * sum);
    // Numbers closer to an edge than this may be in either bucket.
    double slack = 1e-9 * (histogram.max() - histogram.min());
    for (int i = 0; i < BUCKETS - 1; i++) {
      double edge = histogram.upperEdge(i);
      long least = Arrays.stream(finite).filter(x -> x < edge - slack).count();
      long most = Arrays.stream(finite).filter(x -> x <= edge + slack).count();
      int below = inBuckets(histogram, 0, i + 1);
      assertEquals(Math.max(least, Math.min(below, most)), below);
    }
  }

  @Test
  void putsEqualNumbersIntoOneBucket() {
    Histogram histogram = of(0.5f, 0.5f);
    assertEquals(0.5, histogram.min());
    assertEquals(0.5, histogram.max());
    assertEquals(2, histogram.counts().get(0));
    assertEquals(2, histogram.count());
  }

  @Test
  void ofNothingIsEmpty() {
    assertEquals(new Histogram(0, 0, 0, 0, Collections.nCopies(BUCKETS, 0L)), of());
    assertEquals(0, of(Float.NaN, Float.NEGATIVE_INFINITY).count());
  }
}
