package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * How something goes over the steps of a run, on both sides: a summary that can be plotted, not all
 * of the data.
 *
 * @param subject what it is
 * @param shape of its values
 * @param differences for each point
 * @param rms the root of the mean square of the elements that are finite in tf_keras; NaN where
 *     none is, and of Java's own there
 * @param largest the largest magnitude of the same elements
 * @param elements a few of the elements on their own
 */
public record Course(
    Subject subject,
    List<Long> shape,
    List<Tally> differences,
    Curve rms,
    Curve largest,
    List<Element> elements) {

  /** Why an element is shown. */
  public enum Role {
    /** It is furthest from tf_keras's at any step. */
    WORST,

    /** It is the first that differs. */
    FIRST,

    /** It has the largest magnitude at any step. */
    LARGEST
  }

  /**
   * One element.
   *
   * @param index its index in C order
   * @param roles why it is shown
   * @param curve its values
   */
  public record Element(int index, Set<Role> roles, Curve curve) {
    /** Keeps a copy of the roles. */
    public Element {
      roles = Set.copyOf(roles);
    }
  }

  /** Keeps copies of the lists. */
  public Course {
    shape = List.copyOf(shape);
    differences = List.copyOf(differences);
    elements = List.copyOf(elements);
  }

  /**
   * Sums up.
   *
   * @param tallies for each step
   * @param recorded the values of tf_keras after each step
   * @param computed those computed here
   * @param spans the points to be shown
   */
  static Course of(
      Subject subject,
      List<Long> shape,
      List<Tally> tallies,
      List<Values> recorded,
      List<Values> computed,
      List<Span> spans) {
    List<Tally> differences = new ArrayList<>();
    List<Values> then = new ArrayList<>();
    List<Values> now = new ArrayList<>();
    for (Span span : spans) {
      differences.add(
          tallies.subList(span.first(), span.last() + 1).stream()
              .reduce(Tally.NOTHING, Tally::plus));
      then.add(recorded.get(span.last()));
      now.add(computed.get(span.last()));
    }
    List<Element> elements = new ArrayList<>();
    roles(recorded, computed)
        .forEach(
            (index, roles) ->
                elements.add(new Element(index, roles, Curve.ofElement(index, then, now))));
    return new Course(
        subject,
        shape,
        differences,
        Curve.ofFinite(Course::rms, then, now),
        Curve.ofFinite(Course::largest, then, now),
        elements);
  }

  private static Map<Integer, Set<Role>> roles(List<Values> recorded, List<Values> computed) {
    OptionalInt first = OptionalInt.empty();
    OptionalInt worst = OptionalInt.empty();
    OptionalInt largest = OptionalInt.empty();
    double worstDistance = 0;
    double largestMagnitude = -1;
    for (int step = 0; step < recorded.size(); step++) {
      Values then = recorded.get(step);
      Values now = computed.get(step);
      for (int i = 0; i < then.size(); i++) {
        double magnitude = Math.abs(then.get(i));
        if (magnitude > largestMagnitude) {
          largestMagnitude = magnitude;
          largest = OptionalInt.of(i);
        }
        if (then.type().isSame(then.bits(i), now.bits(i))) {
          continue;
        }
        if (first.isEmpty()) {
          first = OptionalInt.of(i);
        }
        double distance = distance(then.get(i), now.get(i));
        if (distance > worstDistance) {
          worstDistance = distance;
          worst = OptionalInt.of(i);
        }
      }
    }
    Map<Integer, Set<Role>> roles = new TreeMap<>();
    add(roles, Role.WORST, worst);
    add(roles, Role.FIRST, first);
    add(roles, Role.LARGEST, largest);
    return roles;
  }

  private static void add(Map<Integer, Set<Role>> roles, Role role, OptionalInt element) {
    element.ifPresent(
        index -> roles.computeIfAbsent(index, i -> EnumSet.noneOf(Role.class)).add(role));
  }

  /** From what is no finite number nothing can be far away. */
  private static double distance(double recorded, double computed) {
    if (!Double.isFinite(recorded)) {
      return 0;
    }
    return Double.isFinite(computed) ? Math.abs(recorded - computed) : Double.POSITIVE_INFINITY;
  }

  private static double rms(Values values, int[] elements) {
    double largest = largest(values, elements);
    if (largest == 0 || !Double.isFinite(largest)) {
      return largest;
    }
    // Scaled, as the squares of small or large numbers are no doubles.
    double squares =
        IntStream.of(elements).mapToDouble(i -> values.get(i) / largest).map(x -> x * x).sum();
    return largest * Math.sqrt(squares / elements.length);
  }

  private static double largest(Values values, int[] elements) {
    return IntStream.of(elements)
        .mapToDouble(i -> Math.abs(values.get(i)))
        .max()
        .orElse(Double.NaN);
  }
}
