package dev.adafactor.schedules;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * A learning rate that depends on the step, as TensorFlow operations.
 *
 * <p>A lambda will do: {@code (tf, step) -> tf.math.rsqrt(tf.dtypes.cast(step, TFloat32.class))}.
 */
@FunctionalInterface
public interface LearningRateSchedule {

  /**
   * Adds the operations that compute the learning rate.
   *
   * @param tf where to add them
   * @param step the number of steps already taken, a scalar: 0 in the first step
   * @return the learning rate of the step, a scalar
   */
  Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step);
}
