package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Slot;
import dev.adafactor.graph.VariableView;
import java.util.List;
import java.util.OptionalInt;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * tf_keras's exponential moving averages of the variables ({@code use_ema}).
 *
 * @param momentum of the average
 * @param overwriteFrequency the number of steps after which the averages replace the variables
 */
record MovingAverage(double momentum, OptionalInt overwriteFrequency) {

  /**
   * Adds the decision, one for all variables, whether the averages replace them in this step.
   *
   * @param iterations the number of steps taken before this one
   * @return a scalar; null where it is never or always so
   */
  Operand<TBool> due(Ops ops, Operand<TInt64> iterations) {
    int frequency = overwriteFrequency.orElse(0);
    if (frequency < 2) {
      return null;
    }
    Operand<TInt64> step = ops.math.add(iterations, ops.constant(1L));
    return ops.math.equal(ops.math.mod(step, ops.constant((long) frequency)), ops.constant(0L));
  }

  /** Whether the averages ever replace the variables. */
  boolean overwrites() {
    return overwriteFrequency.orElse(0) > 0;
  }

  /**
   * Adds {@code average = momentum * average + (1 - momentum) * w}, and the replacement.
   *
   * @param written the last write to the variable in this step
   * @param due what {@link #due} gives
   * @return the last write, in its turn
   */
  <T extends TNumber> Op apply(
      Constants constants,
      VariableView<T> variable,
      Slot<T> average,
      Op written,
      Operand<TBool> due) {
    Ops ops = constants.ops();
    Operand<T> m = constants.number(variable.type(), momentum);
    Operand<T> rest = constants.number(variable.type(), 1 - momentum);
    Operand<T> w = variable.readAfter(ops, written);
    Operand<T> moved = ops.math.add(ops.math.mul(m, average.read()), ops.math.mul(rest, w));
    Op averaged = average.assign(ops, moved);
    int frequency = overwriteFrequency.orElse(0);
    if (frequency == 0) {
      return averaged;
    }
    Ops afterwards = ops.withControlDependencyOps(List.<Operation>of(averaged.op()));
    if (frequency == 1) {
      return variable.assign(afterwards, moved);
    }
    return variable.assign(afterwards, ops.select(due, moved, w));
  }
}
