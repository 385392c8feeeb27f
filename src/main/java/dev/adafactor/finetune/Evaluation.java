package dev.adafactor.finetune;

import java.util.OptionalDouble;

/**
 * How a model does on a set of examples.
 *
 * @param loss the mean loss of an example
 * @param accuracy the share of right answers; none for a regression
 * @param examples how many examples there are
 */
public record Evaluation(double loss, OptionalDouble accuracy, long examples) {

  /** Sums up batches of different sizes. */
  static final class Accumulator {
    private double loss;
    private double right;
    private long examples;
    private boolean hasAccuracy;

    void add(int batch, double batchLoss, OptionalDouble batchAccuracy) {
      loss += batchLoss * batch;
      right += batchAccuracy.orElse(0) * batch;
      hasAccuracy = batchAccuracy.isPresent();
      examples += batch;
    }

    /** Continues from sums. */
    static Accumulator of(Evaluation sums) {
      Accumulator accumulator = new Accumulator();
      accumulator.loss = sums.loss();
      accumulator.right = sums.accuracy().orElse(0);
      accumulator.hasAccuracy = sums.accuracy().isPresent();
      accumulator.examples = sums.examples();
      return accumulator;
    }

    /** What was summed up, not divided yet. */
    Evaluation sums() {
      return new Evaluation(
          loss, hasAccuracy ? OptionalDouble.of(right) : OptionalDouble.empty(), examples);
    }

    Evaluation mean() {
      return new Evaluation(
          loss / examples,
          hasAccuracy ? OptionalDouble.of(right / examples) : OptionalDouble.empty(),
          examples);
    }
  }
}
