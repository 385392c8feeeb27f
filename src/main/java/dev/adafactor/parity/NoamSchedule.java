package dev.adafactor.parity;

import dev.adafactor.schedules.ConfigReader;
import dev.adafactor.schedules.ConfigurableSchedule;
import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * The schedule that stands for a user's own in case files: {@code base * min(rsqrt(step + 1), (step
 * + 1) * warmup^-1.5)} in float32.
 */
record NoamSchedule(double base, double warmup) implements ConfigurableSchedule {
  static final String NAME = "TestNoam";

  static NoamSchedule of(ConfigReader config) {
    return new NoamSchedule(config.number("base"), config.number("warmup"));
  }

  @Override
  public String registeredName() {
    return NAME;
  }

  @Override
  public Map<String, Object> config() {
    return Map.of("base", base, "warmup", warmup);
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
