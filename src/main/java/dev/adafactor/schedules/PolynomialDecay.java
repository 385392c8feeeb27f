package dev.adafactor.schedules;

import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * {@code (initialLearningRate − endLearningRate) · (1 − step / decaySteps) ^ power +
 * endLearningRate}, constant from {@code decaySteps} on.
 *
 * @param initialLearningRate the rate of the first step
 * @param decaySteps the number of steps down to {@code endLearningRate}; not 0
 * @param endLearningRate the last rate
 * @param power the power; 1 is a straight line
 * @param cycle whether it starts anew beyond {@code decaySteps}, from a lower rate and for longer
 * @param name tf_keras's name of the operation, or null
 */
public record PolynomialDecay(
    double initialLearningRate,
    double decaySteps,
    double endLearningRate,
    double power,
    boolean cycle,
    String name)
    implements TfKerasSchedule {

  /**
   * @throws IllegalArgumentException if an argument is not finite or {@code decaySteps} is 0
   */
  public PolynomialDecay {
    Arguments.requireFinite("PolynomialDecay", "initial_learning_rate", initialLearningRate);
    Arguments.requireDivisor("PolynomialDecay", "decay_steps", decaySteps);
    Arguments.requireFinite("PolynomialDecay", "end_learning_rate", endLearningRate);
    Arguments.requireFinite("PolynomialDecay", "power", power);
  }

  /** A straight line down to 0.0001, tf_keras's defaults. */
  public PolynomialDecay(double initialLearningRate, double decaySteps) {
    this(initialLearningRate, decaySteps, 0.0001, 1, false, null);
  }

  /** Reads what {@code get_config()} gives. */
  static PolynomialDecay of(ConfigReader config) {
    return new PolynomialDecay(
        config.number("initial_learning_rate"),
        config.number("decay_steps"),
        config.number("end_learning_rate", 0.0001),
        config.number("power", 1.0),
        config.bool("cycle", false),
        config.stringOrNull("name"));
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    Operand<TFloat32> initial = tf.constant((float) initialLearningRate);
    Operand<TFloat32> end = tf.constant((float) endLearningRate);
    Operand<TFloat32> one = tf.constant(1f);
    Operand<TFloat32> steps = tf.constant((float) decaySteps);
    Operand<TFloat32> at = tf.dtypes.cast(step, TFloat32.class);
    if (cycle) {
      Operand<TFloat32> multiplier =
          tf.select(tf.math.equal(at, tf.constant(0f)), one, tf.math.ceil(tf.math.div(at, steps)));
      steps = tf.math.mul(steps, multiplier);
    } else {
      at = tf.math.minimum(at, steps);
    }
    Operand<TFloat32> p = tf.math.div(at, steps);
    return tf.math.add(
        tf.math.mul(
            tf.math.sub(initial, end),
            tf.math.pow(tf.math.sub(one, p), tf.constant((float) power))),
        end);
  }

  @Override
  public Map<String, Object> config() {
    return Arguments.config(
        "initial_learning_rate", initialLearningRate,
        "decay_steps", Arguments.steps(decaySteps),
        "end_learning_rate", endLearningRate,
        "power", power,
        "cycle", cycle,
        "name", name);
  }
}
