package dev.adafactor.parity;

import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a computed trajectory compares with the recorded one.
 *
 * @param steps for all that was compared a tally of each step, in order; final values have but one
 * @param first the first pair of elements that differ, if any do
 * @param firstFailure the first pair that differs by more than the requirement allows
 */
public record Verdict(
    Map<Subject, List<Tally>> steps,
    Optional<Difference> first,
    Optional<Difference> firstFailure) {
  /** Keeps a copy of the tallies. */
  public Verdict {
    Map<Subject, List<Tally>> copy = new LinkedHashMap<>();
    steps.forEach((subject, tallies) -> copy.put(subject, List.copyOf(tallies)));
    steps = Collections.unmodifiableMap(copy);
  }

  /** For each quantity a tally of all its variables and steps. */
  public Map<Quantity, Tally> tallies() {
    Map<Quantity, Tally> sums = new EnumMap<>(Quantity.class);
    steps.forEach(
        (subject, tallies) ->
            sums.merge(
                subject.quantity(),
                tallies.stream().reduce(Tally.NOTHING, Tally::plus),
                Tally::plus));
    return sums;
  }

  /** Whether all bits are the same, but for the payload of NaN. */
  public boolean isBitEqual() {
    return first.isEmpty();
  }

  /** Whether the requirement is met everywhere. */
  public boolean isGood() {
    return firstFailure.isEmpty();
  }

  /** Whether tf_keras has a finite number wherever one was compared. */
  public boolean isFinite() {
    return steps.values().stream().flatMap(List::stream).allMatch(tally -> tally.notFinite() == 0);
  }
}
