package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;

/** Compares trajectories of one case, element by element in the order of their making. */
public final class Judge {
  private final Requirement requirement;

  /** The largest magnitude so far of each tensor: its rounding errors are of that size. */
  private final Map<Scaled, Double> scales = new HashMap<>();

  private final Map<Subject, List<Tally>> steps = new LinkedHashMap<>();
  private Optional<Difference> first = Optional.empty();
  private Optional<Difference> firstFailure = Optional.empty();

  private Judge(Requirement requirement) {
    this.requirement = requirement;
  }

  /**
   * Compares what was computed with what tf_keras recorded.
   *
   * @param variables of the case that both trajectories belong to
   * @throws IllegalArgumentException if the two have not the same number of steps or of elements
   */
  public static Verdict judge(
      List<CaseVariable> variables,
      Trajectory recorded,
      Trajectory computed,
      Requirement requirement) {
    int steps = recorded.states().size();
    if (steps != computed.states().size()) {
      throw new IllegalArgumentException(
          "recorded are " + steps + " steps, computed " + computed.states().size());
    }
    Judge judge = new Judge(requirement);
    for (int i = 0; i < variables.size(); i++) {
      judge.scale(new Scaled(Quantity.VAR, i), variables.get(i).initial());
    }
    for (int step = 0; step < steps; step++) {
      judge.compareStates(
          step, variables, recorded.states().get(step), computed.states().get(step));
    }
    for (int i = 0; i < variables.size(); i++) {
      judge.compare(
          new Place(steps - 1, Quantity.FINAL, i, variables.get(i).name(), true),
          recorded.finalValues().get(i),
          computed.finalValues().get(i));
    }
    return new Verdict(judge.steps, judge.first, judge.firstFailure);
  }

  /**
   * Where elements are compared.
   *
   * @param sound whether the numbers mean anything: once tf_keras has ruined a variable, its second
   *     moment does not
   */
  private record Place(int step, Quantity quantity, int index, String variable, boolean sound) {
    private static final int NO_VARIABLE = -1;

    static Place shared(int step, Quantity quantity) {
      return new Place(step, quantity, NO_VARIABLE, "", true);
    }

    Subject subject() {
      return new Subject(
          quantity, index == NO_VARIABLE ? OptionalInt.empty() : OptionalInt.of(index));
    }

    /** Averages and final values are of the variable's own scale. */
    Scaled scaled() {
      return switch (quantity) {
        case VAR, EMA, FINAL -> new Scaled(Quantity.VAR, index);
        case LOSS, V, R, C, LR, IT -> new Scaled(quantity, index);
      };
    }
  }

  private record Scaled(Quantity quantity, int index) {}

  private double scale(Scaled scaled, Values values) {
    return scales.merge(scaled, values.largestMagnitude(), Math::max);
  }

  private void compareStates(
      int step, List<CaseVariable> variables, State recorded, State computed) {
    compare(Place.shared(step, Quantity.LR), recorded.learningRate(), computed.learningRate());
    compareIterations(step, recorded.iterations(), computed.iterations());
    for (int i = 0; i < variables.size(); i++) {
      int index = i;
      String name = variables.get(i).name();
      VariableState then = recorded.variables().get(i);
      VariableState now = computed.variables().get(i);
      boolean sound = then.value().isFinite();
      Function<Quantity, Place> value = q -> new Place(step, q, index, name, true);
      Function<Quantity, Place> moment = q -> new Place(step, q, index, name, sound);
      // In the order in which they follow from one another: the first difference is the cause.
      compare(moment.apply(Quantity.R), then.r(), now.r());
      compare(moment.apply(Quantity.C), then.c(), now.c());
      compare(moment.apply(Quantity.V), then.v(), now.v());
      compare(value.apply(Quantity.VAR), then.value(), now.value());
      compare(value.apply(Quantity.EMA), then.average(), now.average());
    }
  }

  private void compare(Place place, Optional<Values> recorded, Optional<Values> computed) {
    if (recorded.isPresent() != computed.isPresent()) {
      throw new IllegalArgumentException(
          place + " is " + (recorded.isPresent() ? "not computed" : "not recorded"));
    }
    recorded.ifPresent(values -> compare(place, values, computed.orElseThrow()));
  }

  private void compare(Place place, Values recorded, Values computed) {
    ElementType type = recorded.type();
    if (type != computed.type() || recorded.size() != computed.size()) {
      throw new IllegalArgumentException(
          String.format(
              "%s: recorded are %d elements of %s, computed %d of %s",
              place, recorded.size(), type, computed.size(), computed.type()));
    }
    double scale = scale(place.scaled(), recorded);
    double allowance = type.ulp(scale) * (place.step() + 1);
    Tally sum = Tally.NOTHING;
    for (int i = 0; i < recorded.size(); i++) {
      long then = recorded.bits(i);
      long now = computed.bits(i);
      boolean bothNaN = type.isNaN(then) && type.isNaN(now);
      boolean finite = place.sound() && type.isFinite(then);
      double distance = 0;
      long ulps = 0;
      if (finite) {
        ulps = type.ulps(then, now);
        distance =
            type.isFinite(now)
                ? Math.abs(recorded.get(i) - computed.get(i))
                : Double.POSITIVE_INFINITY;
      }
      Tally tally =
          new Tally(
              1,
              finite ? 0 : 1,
              then == now || bothNaN ? 0 : 1,
              then != now && bothNaN ? 1 : 0,
              ulps,
              distance == 0 ? 0 : distance / scale,
              distance / allowance);
      sum = sum.plus(tally);
      note(place, i, tally, recorded.get(i), computed.get(i));
    }
    add(place, sum);
  }

  private void compareIterations(int step, long recorded, long computed) {
    // A counter is right or wrong: whatever it is off by is more than rounding.
    boolean same = recorded == computed;
    double off = same ? 0 : Double.POSITIVE_INFINITY;
    long ulps = same ? 0 : Long.MAX_VALUE;
    Place place = Place.shared(step, Quantity.IT);
    Tally tally = new Tally(1, 0, same ? 0 : 1, 0, ulps, off, off);
    note(place, 0, tally, (double) recorded, (double) computed);
    add(place, tally);
  }

  private void add(Place place, Tally tally) {
    steps.computeIfAbsent(place.subject(), subject -> new ArrayList<>()).add(tally);
  }

  private void note(Place place, int element, Tally pair, double recorded, double computed) {
    if (pair.different() > 0) {
      Difference difference =
          new Difference(
              place.step(),
              place.quantity(),
              place.variable(),
              element,
              recorded,
              computed,
              pair.ulps());
      first = first.or(() -> Optional.of(difference));
      if (!requirement.allows(pair.notFinite() == 0, pair.scaleUlps())) {
        firstFailure = firstFailure.or(() -> Optional.of(difference));
      }
    }
  }
}
