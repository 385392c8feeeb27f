package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * The numbers that all variables of one type share in a step; each is a scalar of that type.
 *
 * @param rho the relative step size, min(learning rate, 1/√t)
 * @param beta2 the decay rate of the second moment, 1 − t^beta_2_decay
 * @param oneMinusBeta2 1 − beta2, with the rounding of both subtractions: 0 for bfloat16 from some
 *     2,500 steps on
 * @param gradientWeight the same, but never 0: there it is t^beta_2_decay, unrounded
 * @param epsilon1 added to the squared gradient
 * @param epsilon2 the least scale of a variable
 * @param one 1
 * @param clipThreshold d, the largest rms of an update that is left alone
 */
record Scalars<T extends TNumber>(
    Operand<T> rho,
    Operand<T> beta2,
    Operand<T> oneMinusBeta2,
    Operand<T> gradientWeight,
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
   * @param type of the scalars
   * @param variableType in which 1 − t^beta_2_decay is rounded, as in tf_keras
   * @param iterations the number of steps already taken
   */
  static <T extends TNumber, V extends TNumber> Scalars<T> of(
      Constants constants,
      Class<T> type,
      Class<V> variableType,
      AdafactorConfig config,
      Operand<TFloat32> learningRate,
      Operand<TInt64> iterations) {
    Ops tf = constants.ops();
    Operand<TInt64> step = tf.math.add(iterations, tf.constant(1L));
    Operand<T> t = tf.dtypes.cast(step, type);
    Operand<T> rho = tf.math.minimum(tf.dtypes.cast(learningRate, type), tf.math.rsqrt(t));
    Operand<V> one = constants.number(variableType, 1);
    Operand<V> beta2 =
        tf.math.sub(
            one,
            tf.math.pow(
                tf.dtypes.cast(step, variableType),
                constants.number(variableType, config.beta2Decay())));
    Operand<T> oneMinusBeta2 = WholeUpdateStep.cast(tf, tf.math.sub(one, beta2), type);
    Operand<TBool> lost = tf.math.equal(oneMinusBeta2, constants.number(type, 0));
    Operand<T> unrounded = tf.math.pow(t, constants.number(type, config.beta2Decay()));
    return new Scalars<>(
        rho,
        WholeUpdateStep.cast(tf, beta2, type),
        oneMinusBeta2,
        tf.select(lost, unrounded, oneMinusBeta2),
        constants.number(type, config.epsilon1()),
        constants.number(type, (float) config.epsilon2()),
        constants.number(type, 1),
        constants.number(type, config.clipThreshold()));
  }

  /** The scalars in the order of {@link #of(List)}. */
  List<Operand<T>> parts() {
    return List.of(
        rho, beta2, oneMinusBeta2, gradientWeight, epsilon1, epsilon2, one, clipThreshold);
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
