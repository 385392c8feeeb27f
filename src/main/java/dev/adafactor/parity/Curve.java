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

  /** A number that is taken of some elements. */
  interface Measure {
    double of(Values values, int[] elements);
  }

  /** Of those elements that are finite in tf_keras or, where none is, of those that are here. */
  static Curve ofFinite(Measure measure, List<Values> recorded, List<Values> computed) {
    List<Double> then = new ArrayList<>();
    List<Double> now = new ArrayList<>();
    for (int point = 0; point < recorded.size(); point++) {
      int[] elements = recorded.get(point).finiteElements();
      then.add(measure.of(recorded.get(point), elements));
      now.add(
          measure.of(
              computed.get(point),
              elements.length > 0 ? elements : computed.get(point).finiteElements()));
    }
    return new Curve(then, now);
  }

  /** Of one element. */
  static Curve ofElement(int index, List<Values> recorded, List<Values> computed) {
    return new Curve(
        recorded.stream().map(values -> values.get(index)).toList(),
        computed.stream().map(values -> values.get(index)).toList());
  }

  /** Whether both sides are the same at all points; any two NaN are. */
  public boolean isSame() {
    return recorded.equals(computed);
  }
}
