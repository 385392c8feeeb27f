package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class SpreadTest {

  /** As NumPy's {@code percentile} has them. */
  @Test
  void interpolatesBetweenNeighbours() {
    assertEquals(new Spread(1, 1.75, 2.5, 3.25, 4), Spread.of(4, 2, 1, 3));
    assertEquals(new Spread(7, 7, 7, 7, 7), Spread.of(7));
  }

  @Property
  void leavesAtLeastAQuarterOnEachSideOfEachQuartile(
      @ForAll @Size(min = 1, max = 40) List<@DoubleRange(min = -10, max = 10) Double> drawn) {
    double[] numbers = drawn.stream().mapToDouble(Double::doubleValue).toArray();
    Spread spread = Spread.of(numbers);
    assertShare(numbers, spread.lowerQuartile(), 0.25);
    assertShare(numbers, spread.median(), 0.5);
    assertShare(numbers, spread.upperQuartile(), 0.75);
    assertEquals(Arrays.stream(numbers).min().orElseThrow(), spread.least());
    assertEquals(Arrays.stream(numbers).max().orElseThrow(), spread.largest());
  }

  private static void assertShare(double[] numbers, double limit, double share) {
    double most = share * (numbers.length - 1);
    assertTrue(Arrays.stream(numbers).filter(x -> x < limit).count() <= Math.ceil(most));
    assertTrue(
        Arrays.stream(numbers).filter(x -> x > limit).count()
            <= Math.ceil(numbers.length - 1 - most));
  }
}
