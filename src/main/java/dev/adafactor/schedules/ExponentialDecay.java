package dev.adafactor.schedules;

import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * {@code initialLearningRate · decayRate ^ (step / decaySteps)}.
 *
 * @param initialLearningRate the rate of the first step
 * @param decaySteps the number of steps in which the rate falls by {@code decayRate}; not 0
 * @param decayRate the factor
 * @param staircase whether the exponent is rounded down to a whole number
 * @param name tf_keras's name of the operation, or null
 */
public record ExponentialDecay(
    double initialLearningRate, double decaySteps, double decayRate, boolean staircase, String name)
    implements TfKerasSchedule {

  /**
   * @throws IllegalArgumentException if an argument is not finite or {@code decaySteps} is 0
   */
  public ExponentialDecay {
    Arguments.requireFinite("ExponentialDecay", "initial_learning_rate", initialLearningRate);
    Arguments.requireDivisor("ExponentialDecay", "decay_steps", decaySteps);
    Arguments.requireFinite("ExponentialDecay", "decay_rate", decayRate);
  }

  /** Without a staircase. */
  public ExponentialDecay(double initialLearningRate, double decaySteps, double decayRate) {
    this(initialLearningRate, decaySteps, decayRate, false, null);
  }

  /** Reads what {@code get_config()} gives. */
  static ExponentialDecay of(ConfigReader config) {
    return new ExponentialDecay(
        config.number("initial_learning_rate"),
        config.number("decay_steps"),
        config.number("decay_rate"),
        config.bool("staircase", false),
        config.stringOrNull("name"));
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    Operand<TFloat32> p = Arguments.periods(tf, step, decaySteps, staircase);
    return tf.math.mul(
        tf.constant((float) initialLearningRate), tf.math.pow(tf.constant((float) decayRate), p));
  }

  @Override
  public Map<String, Object> config() {
    return Arguments.config(
        "initial_learning_rate", initialLearningRate,
        "decay_steps", Arguments.steps(decaySteps),
        "decay_rate", decayRate,
        "staircase", staircase,
        "name", name);
  }
}
