package dev.adafactor.parity;

import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.schedules.LearningRateSchedule;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * The schedule that stands for a user's own in case files: {@code base * min(rsqrt(step + 1), (step
 * + 1) * warmup^-1.5)} in float32.
 */
record NoamSchedule(double base, double warmup) implements LearningRateSchedule {
  static final String CLASS_NAME = "TestNoam";

  /**
   * Reads the configuration.
   *
   * @throws IllegalArgumentException if a number is missing
   */
  static NoamSchedule of(JsonNode config) {
    return new NoamSchedule(number(config, "base"), number(config, "warmup"));
  }

  private static double number(JsonNode config, String name) {
    JsonNode value = config.path(name);
    if (!value.isNumber()) {
      throw new IllegalArgumentException(CLASS_NAME + " needs a number \"" + name + "\"");
    }
    return value.doubleValue();
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    Operand<TFloat32> next = tf.math.add(tf.dtypes.cast(step, TFloat32.class), tf.constant(1f));
    Operand<TFloat32> falling = tf.math.rsqrt(next);
    // The power of two numbers is Python's to compute, in double precision.
    Operand<TFloat32> rising = tf.math.mul(next, tf.constant((float) Math.pow(warmup, -1.5)));
    return tf.math.mul(tf.constant((float) base), tf.math.minimum(falling, rising));
  }
}
