package dev.adafactor.finetune;

import dev.adafactor.savedmodel.ProvidedGradients;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * What is measured of a batch: scalars.
 *
 * @param loss the mean loss
 * @param accuracy the share of right answers; none for a regression
 */
record Measures(Operand<TFloat64> loss, List<Operand<TFloat32>> accuracy) {

  /** Loss and accuracy of a batch. */
  record Values(double loss, OptionalDouble accuracy) {

    /** Adds the part of a batch that is so large a share of it. */
    Values plus(double share, Values part) {
      return new Values(
          loss + share * part.loss(),
          part.accuracy().isEmpty()
              ? part.accuracy()
              : OptionalDouble.of(accuracy.orElse(0) + share * part.accuracy().getAsDouble()));
    }
  }

  static Measures of(Ops tf, SharedObjective objective) {
    return of(tf, objective.loss(), objective.accuracy());
  }

  static Measures of(Ops tf, ProvidedGradients provided) {
    return of(
        tf,
        StepFunction.numeric(provided.loss()),
        provided.accuracy().map(share -> tf.dtypes.cast(share, TFloat32.class)));
  }

  private static Measures of(
      Ops tf, Operand<? extends TNumber> loss, Optional<Operand<TFloat32>> accuracy) {
    return new Measures(tf.dtypes.cast(loss, TFloat64.class), accuracy.stream().toList());
  }

  /** Adds them to the results of a run, as the last ones. */
  void fetch(Session.Runner runner) {
    runner.fetch(loss);
    accuracy.forEach(runner::fetch);
  }

  /**
   * Takes them from the results.
   *
   * @param first how many results there are before them
   */
  Values read(Result result, int first) {
    return new Values(
        ((TFloat64) result.get(first)).getDouble(),
        accuracy.isEmpty()
            ? OptionalDouble.empty()
            : OptionalDouble.of(((TFloat32) result.get(first + 1)).getFloat()));
  }
}
