package dev.adafactor.finetune;

import java.util.OptionalInt;

/** Follows a job's epochs: which was the best so far, and whether there should be another. */
final class BestEpoch {

  /** What the end of an epoch means. */
  enum Verdict {
    /** It is the best so far. */
    BEST,

    /** It is not, but the next may be. */
    GO_ON,

    /** It is not, and there have been too many of these. */
    STOP
  }

  /**
   * What is known after an epoch.
   *
   * @param score the best result, the higher the better
   * @param epoch its number; 0 before the end of the first
   * @param epochs how many were judged
   * @param waiting how many since the best
   */
  record State(double score, int epoch, int epochs, int waiting) {}

  private final EarlyStopping rule;
  private double best;
  private int bestEpoch;
  private int epochs;
  private int waiting;

  BestEpoch(EarlyStopping rule) {
    this.rule = rule;
    this.best = Double.NEGATIVE_INFINITY;
  }

  State state() {
    return new State(best, bestEpoch, epochs, waiting);
  }

  /** Goes on from what was known. */
  void resume(State state) {
    best = state.score();
    bestEpoch = state.epoch();
    epochs = state.epochs();
    waiting = state.waiting();
  }

  /** To be called at the end of each epoch, in order. */
  Verdict judge(Evaluation validation) {
    double score =
        switch (rule.monitor()) {
          case LOSS -> -validation.loss();
          case ACCURACY -> validation.accuracy().orElseThrow();
        };
    epochs++;
    waiting++;
    if (score - rule.minDelta() > best) {
      best = score;
      waiting = 0;
      bestEpoch = epochs;
      return Verdict.BEST;
    }
    if (epochs == 1) {
      // Kept for want of a better one, as Keras does: its loss is not finite.
      bestEpoch = epochs;
      return Verdict.BEST;
    }
    return isOver() ? Verdict.STOP : Verdict.GO_ON;
  }

  /** Whether there should be no more epochs. */
  boolean isOver() {
    return epochs > 1 && waiting >= rule.patience();
  }

  /** The number of the best epoch, from 1; empty before the end of the first. */
  OptionalInt number() {
    return epochs == 0 ? OptionalInt.empty() : OptionalInt.of(bestEpoch);
  }
}
