package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * The numbers that all variables of one type share in a step; each is a scalar of that type.
 *
 * @param rho the relative step size, min(learning rate, 1/√t)
 * @param beta2 the decay rate of the second moment, 1 − t^beta_2_decay
 * @param oneMinusBeta2 1 − beta2, with the rounding of both subtractions
 * @param decayPower t^beta_2_decay: the same number without that rounding
 * @param epsilon1 added to the squared gradient
 * @param epsilon2 the least scale of a variable
 * @param one 1
 * @param clipThreshold d, the largest rms of an update that is left alone
 */
record Scalars<T extends TNumber>(
    Operand<T> rho,
    Operand<T> beta2,
    Operand<T> oneMinusBeta2,
    Operand<T> decayPower,
    Operand<T> epsilon1,
    Operand<T> epsilon2,
    Operand<T> one,
    Operand<T> clipThreshold) {

  /**
   * Adds the operations of tf_keras's {@code update_step} that do not depend on the variable.
   *
   * <p>What tf_keras passes through {@code tf.cast} (epsilon_2, 1.0) takes the way over float32;
   * what it uses as a Python number goes straight to the type. {@code relative_step} has no place
   * here: it would take the minimum with 1/√t that rho takes anyway.
   *
   * @param iterations the number of steps already taken
   */
  static <T extends TNumber> Scalars<T> of(
      Constants constants,
      Class<T> type,
      AdafactorConfig config,
      Operand<TFloat32> learningRate,
      Operand<TInt64> iterations) {
    Ops tf = constants.ops();
    Operand<T> t = tf.dtypes.cast(tf.math.add(iterations, tf.constant(1L)), type);
    Operand<T> rho = tf.math.minimum(tf.dtypes.cast(learningRate, type), tf.math.rsqrt(t));
    Operand<T> decayPower = tf.math.pow(t, constants.number(type, config.beta2Decay()));
    Operand<T> beta2 = tf.math.sub(constants.number(type, 1), decayPower);
    return new Scalars<>(
        rho,
        beta2,
        tf.math.sub(constants.number(type, 1), beta2),
        decayPower,
        constants.number(type, config.epsilon1()),
        constants.number(type, (float) config.epsilon2()),
        constants.number(type, 1),
        constants.number(type, config.clipThreshold()));
  }

  /** The scalars in the order of {@link #of(List)}. */
  List<Operand<T>> parts() {
    return List.of(rho, beta2, oneMinusBeta2, decayPower, epsilon1, epsilon2, one, clipThreshold);
  }

  /** The reverse of {@link #parts()}. */
  static <T extends TNumber> Scalars<T> of(List<Operand<T>> parts) {
    return new Scalars<>(
        parts.get(0),
        parts.get(1),
        parts.get(2),
        parts.get(3),
        parts.get(4),
        parts.get(5),
        parts.get(6),
        parts.get(7));
  }
}
