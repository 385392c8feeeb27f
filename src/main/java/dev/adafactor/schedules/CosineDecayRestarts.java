package dev.adafactor.schedules;

import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * Half cosines, one after the other (Loshchilov &amp; Hutter, SGDR).
 *
 * @param initialLearningRate the rate of the first step
 * @param firstDecaySteps the number of steps of the first cosine; not 0
 * @param tMul how much longer each is than the one before
 * @param mMul the first rate of each, as a fraction of that of the one before
 * @param alpha the last rate, as a fraction of the initial one
 * @param name tf_keras's name of the operation, or null
 */
public record CosineDecayRestarts(
    double initialLearningRate,
    double firstDecaySteps,
    double tMul,
    double mMul,
    double alpha,
    String name)
    implements TfKerasSchedule {

  /**
   * @throws IllegalArgumentException if an argument is not finite or {@code firstDecaySteps} is 0
   */
  public CosineDecayRestarts {
    Arguments.requireFinite("CosineDecayRestarts", "initial_learning_rate", initialLearningRate);
    Arguments.requireDivisor("CosineDecayRestarts", "first_decay_steps", firstDecaySteps);
    Arguments.requireFinite("CosineDecayRestarts", "t_mul", tMul);
    Arguments.requireFinite("CosineDecayRestarts", "m_mul", mMul);
    Arguments.requireFinite("CosineDecayRestarts", "alpha", alpha);
  }

  /** Each cosine twice as long as the one before, from the same rate down to 0. */
  public CosineDecayRestarts(double initialLearningRate, double firstDecaySteps) {
    this(initialLearningRate, firstDecaySteps, 2, 1, 0, null);
  }

  /** Reads what {@code get_config()} gives. */
  static CosineDecayRestarts of(ConfigReader config) {
    return new CosineDecayRestarts(
        config.number("initial_learning_rate"),
        config.number("first_decay_steps"),
        config.number("t_mul", 2.0),
        config.number("m_mul", 1.0),
        config.number("alpha", 0.0),
        config.stringOrNull("name"));
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    Operand<TFloat32> one = tf.constant(1f);
    Operand<TFloat32> m = tf.constant((float) mMul);
    Operand<TFloat32> alphaConstant = tf.constant((float) alpha);
    Operand<TFloat32> fraction =
        tf.math.div(tf.dtypes.cast(step, TFloat32.class), tf.constant((float) firstDecaySteps));
    Operand<TFloat32> restart; // how many cosines are over
    if ((float) tMul == 1f) {
      restart = tf.math.floor(fraction);
      fraction = tf.math.sub(fraction, restart);
    } else {
      Operand<TFloat32> t = tf.constant((float) tMul);
      Operand<TFloat32> oneMinusT = tf.math.sub(one, t);
      restart =
          tf.math.floor(
              tf.math.div(
                  tf.math.log(tf.math.sub(one, tf.math.mul(fraction, oneMinusT))), tf.math.log(t)));
      Operand<TFloat32> power = tf.math.pow(t, restart);
      Operand<TFloat32> sum = tf.math.div(tf.math.sub(one, power), oneMinusT);
      fraction = tf.math.div(tf.math.sub(fraction, sum), power);
    }
    Operand<TFloat32> cosine =
        tf.math.mul(
            tf.math.mul(tf.constant(0.5f), tf.math.pow(m, restart)),
            tf.math.add(one, tf.math.cos(tf.math.mul(tf.constant((float) Math.PI), fraction))));
    Operand<TFloat32> decayed =
        tf.math.add(tf.math.mul(tf.math.sub(one, alphaConstant), cosine), alphaConstant);
    return tf.math.mul(tf.constant((float) initialLearningRate), decayed);
  }

  @Override
  public Map<String, Object> config() {
    return Arguments.config(
        "initial_learning_rate", initialLearningRate,
        "first_decay_steps", Arguments.steps(firstDecaySteps),
        "t_mul", tMul,
        "m_mul", mMul,
        "alpha", alpha,
        "name", name);
  }
}
