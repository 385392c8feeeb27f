package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Sums up how the replays of many cases compare with what was recorded. */
public final class Comparison {

  /**
   * What is to be said about a case.
   *
   * @param id of the case
   * @param text in one line
   */
  public record Remark(String id, String text) {}

  private final Requirement requirement;
  private final Map<Quantity, Tally> tallies = new EnumMap<>(Quantity.class);
  private final List<String> unrecorded = new ArrayList<>();
  private final List<Remark> different = new ArrayList<>();
  private final List<Remark> failures = new ArrayList<>();
  private final List<Remark> errors = new ArrayList<>();
  private int cases;
  private int bitEqual;

  /**
   * @param requirement of every recorded case
   */
  public Comparison(Requirement requirement) {
    this.requirement = requirement;
  }

  /** Adds the replay of one more case, and says how it is, if there is something to compare. */
  public Optional<Verdict> add(Replayed replayed) {
    cases++;
    Case input = replayed.input();
    Optional<Verdict> verdict = Optional.empty();
    if (replayed.outcome() instanceof Outcome.Failed failed) {
      errors.add(new Remark(input.id(), failed.error()));
    } else if (replayed.outcome() instanceof Outcome.Completed completed) {
      verdict =
          input
              .recorded()
              .map(
                  recorded ->
                      Judge.judge(
                          input.variables(), recorded, completed.trajectory(), requirement));
      verdict.ifPresentOrElse(found -> add(input.id(), found), () -> unrecorded.add(input.id()));
    }
    return verdict;
  }

  private void add(String id, Verdict verdict) {
    verdict.tallies().forEach((quantity, tally) -> tallies.merge(quantity, tally, Tally::plus));
    if (verdict.isBitEqual()) {
      bitEqual++;
    }
    verdict.first().ifPresent(difference -> different.add(new Remark(id, difference.toString())));
    verdict
        .firstFailure()
        .ifPresent(difference -> failures.add(new Remark(id, difference.toString())));
  }

  /** How many cases there are. */
  public int cases() {
    return cases;
  }

  /** How many cases have the same bits everywhere; the payload of NaN does not count. */
  public int bitEqual() {
    return bitEqual;
  }

  /** The worst of every quantity that was compared. */
  public Map<Quantity, Tally> tallies() {
    return Collections.unmodifiableMap(tallies);
  }

  /** The cases that ran, but record nothing to compare with. */
  public List<String> unrecorded() {
    return List.copyOf(unrecorded);
  }

  /** The cases that are not bit-equal, each with the first difference. */
  public List<Remark> different() {
    return List.copyOf(different);
  }

  /** The cases that do not meet the requirement, each with the first difference beyond it. */
  public List<Remark> failures() {
    return List.copyOf(failures);
  }

  /** The cases that could not run, each with the reason. */
  public List<Remark> errors() {
    return List.copyOf(errors);
  }

  /** Whether every case ran and met the requirement. */
  public boolean isGood() {
    return failures.isEmpty() && errors.isEmpty();
  }
}
