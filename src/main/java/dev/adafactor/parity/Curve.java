package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.List;

/**
 * A number over the points of a run, on both sides.
 *
 * @param recorded that of tf_keras
 * @param computed that of this library
 */
public record Curve(List<Double> recorded, List<Double> computed) {
  /** Keeps copies of the lists. */
  public Curve {
    recorded = List.copyOf(recorded);
    computed = List.copyOf(computed);
  }

  /** Something that is taken of the values at each point. */
  interface Measure {
    double of(Values values);
  }

  static Curve of(Measure measure, List<Values> recorded, List<Values> computed) {
    return new Curve(each(measure, recorded), each(measure, computed));
  }

  private static List<Double> each(Measure measure, List<Values> points) {
    List<Double> numbers = new ArrayList<>();
    points.forEach(values -> numbers.add(measure.of(values)));
    return numbers;
  }

  /** Whether both sides are the same at all points; any two NaN are. */
  public boolean isSame() {
    return recorded.equals(computed);
  }
}
