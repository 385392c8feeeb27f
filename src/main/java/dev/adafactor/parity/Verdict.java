package dev.adafactor.parity;

import java.util.Map;
import java.util.Optional;

/**
 * How a computed trajectory compares with the recorded one.
 *
 * @param tallies for each quantity
 * @param first the first pair of elements that differ, if any do
 * @param firstFailure the first pair that differs by more than the requirement allows
 */
public record Verdict(
    Map<Quantity, Tally> tallies, Optional<Difference> first, Optional<Difference> firstFailure) {
  /** Keeps a copy of the tallies. */
  public Verdict {
    tallies = Map.copyOf(tallies);
  }

  /** Whether all bits are the same, but for the payload of NaN. */
  public boolean isBitEqual() {
    return first.isEmpty();
  }

  /** Whether the requirement is met everywhere. */
  public boolean isGood() {
    return firstFailure.isEmpty();
  }
}
