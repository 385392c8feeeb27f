package dev.adafactor.schedules;

import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * Half a cosine from the initial rate down to {@code alpha} times it, after an optional warm-up on
 * a straight line from the initial rate to {@code warmupTarget}, from which the cosine then starts.
 *
 * @param initialLearningRate the rate of the first step
 * @param decaySteps the number of steps of the cosine; not 0
 * @param alpha the last rate, as a fraction of the cosine's first
 * @param name tf_keras's name of the operation, or null
 * @param warmupTarget the rate at the end of the warm-up, or null for no warm-up
 * @param warmupSteps the number of steps of the warm-up
 */
public record CosineDecay(
    double initialLearningRate,
    double decaySteps,
    double alpha,
    String name,
    Double warmupTarget,
    double warmupSteps)
    implements TfKerasSchedule {

  /**
   * @throws IllegalArgumentException if an argument is not finite or {@code decaySteps} is 0
   */
  public CosineDecay {
    Arguments.requireFinite("CosineDecay", "initial_learning_rate", initialLearningRate);
    Arguments.requireDivisor("CosineDecay", "decay_steps", decaySteps);
    Arguments.requireFinite("CosineDecay", "alpha", alpha);
    if (warmupTarget != null) {
      Arguments.requireFinite("CosineDecay", "warmup_target", warmupTarget);
    }
    Arguments.requireFinite("CosineDecay", "warmup_steps", warmupSteps);
  }

  /** Down to 0, without warm-up. */
  public CosineDecay(double initialLearningRate, double decaySteps) {
    this(initialLearningRate, decaySteps, 0, null, null, 0);
  }

  /** Reads what {@code get_config()} gives. */
  static CosineDecay of(ConfigReader config) {
    Double warmupTarget = config.numberOrNull("warmup_target");
    // Without a target tf_keras does not look at the steps.
    boolean noSteps = warmupTarget == null && config.value("warmup_steps") == null;
    return new CosineDecay(
        config.number("initial_learning_rate"),
        config.number("decay_steps"),
        config.number("alpha", 0.0),
        config.stringOrNull("name"),
        warmupTarget,
        noSteps ? 0 : config.number("warmup_steps", 0.0));
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    Operand<TFloat32> initial = tf.constant((float) initialLearningRate);
    Operand<TFloat32> decay = tf.constant((float) decaySteps);
    Operand<TFloat32> at = tf.dtypes.cast(step, TFloat32.class);
    if (warmupTarget == null) {
      return cosine(tf, tf.math.minimum(at, decay), decay, initial);
    }
    Operand<TFloat32> target = tf.constant(warmupTarget.floatValue());
    Operand<TFloat32> warmup = tf.constant((float) warmupSteps);
    at = tf.math.minimum(at, tf.math.add(decay, warmup));
    Operand<TFloat32> line =
        tf.math.add(tf.math.mul(tf.math.sub(target, initial), tf.math.div(at, warmup)), initial);
    return tf.select(
        tf.math.less(at, warmup), line, cosine(tf, tf.math.sub(at, warmup), decay, target));
  }

  private Operand<TFloat32> cosine(
      Ops tf, Operand<TFloat32> at, Operand<TFloat32> decay, Operand<TFloat32> from) {
    Operand<TFloat32> cosine =
        tf.math.mul(
            tf.constant(0.5f),
            tf.math.add(
                tf.constant(1f),
                tf.math.cos(tf.math.mul(tf.constant((float) Math.PI), tf.math.div(at, decay)))));
    return tf.math.mul(
        from,
        tf.math.add(
            tf.math.mul(tf.constant((float) (1 - alpha)), cosine), tf.constant((float) alpha)));
  }

  @Override
  public Map<String, Object> config() {
    return Arguments.config(
        "initial_learning_rate", initialLearningRate,
        "decay_steps", Arguments.steps(decaySteps),
        "alpha", alpha,
        "name", name,
        "warmup_target", warmupTarget,
        "warmup_steps", Arguments.steps(warmupSteps));
  }
}
