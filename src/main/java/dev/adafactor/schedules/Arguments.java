package dev.adafactor.schedules;

import java.util.LinkedHashMap;
import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** What schedules do with their arguments. */
final class Arguments {

  private Arguments() {}

  /**
   * @throws IllegalArgumentException if the value is not a finite number in float32, in which
   *     schedules compute
   */
  static void requireFinite(String schedule, String argument, double value) {
    if (!Float.isFinite((float) value)) {
      throw new IllegalArgumentException(
          schedule + ": `" + argument + "` must be a finite float32 number. Received: " + value);
    }
  }

  /**
   * @throws IllegalArgumentException if the value is 0 or not a finite number in float32
   */
  static void requireDivisor(String schedule, String argument, double value) {
    requireFinite(schedule, argument, value);
    if ((float) value == 0) {
      throw new IllegalArgumentException(
          schedule + ": `" + argument + "` must not be 0 in float32. Received: " + value);
    }
  }

  /**
   * How many times {@code decaySteps} has gone by.
   *
   * @param staircase whether that is rounded down to a whole number
   */
  static Operand<TFloat32> periods(
      Ops tf, Operand<TInt64> step, double decaySteps, boolean staircase) {
    Operand<TFloat32> periods =
        tf.math.div(tf.dtypes.cast(step, TFloat32.class), tf.constant((float) decaySteps));
    return staircase ? tf.math.floor(periods) : periods;
  }

  /** A configuration of alternating names and values, in that order. */
  static Map<String, Object> config(Object... namesAndValues) {
    Map<String, Object> config = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      config.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return config;
  }

  /** A number of steps as Python writes it: without a fraction where it has none. */
  static Number steps(double value) {
    if (value == Math.rint(value) && Math.abs(value) < 1L << 53) {
      return (long) value;
    }
    return value;
  }
}
