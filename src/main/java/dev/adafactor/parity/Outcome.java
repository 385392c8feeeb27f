package dev.adafactor.parity;

/** What became of the replay of a case. */
public sealed interface Outcome {

  /**
   * It ran to its end.
   *
   * @param trajectory what was computed
   */
  record Completed(Trajectory trajectory) implements Outcome {}

  /**
   * It could not run.
   *
   * @param error why, in one line
   */
  record Failed(String error) implements Outcome {}
}
