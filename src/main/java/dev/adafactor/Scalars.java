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
 * The numbers that all variables of one type share in a step; each is a scalar of the type in which
 * their update is computed.
 *
 * @param rho the relative step size, min(learning rate, 1/√t)
 * @param beta2 the decay rate of the second moment, 1 − t^beta_2_decay, as it is rounded in the
 *     variables' type
 * @param oneMinusBeta2 1 − beta2, with that rounding
 * @param steadyBeta2 beta2, but where it is rounded to 1 as it is in the type of computation
 * @param steadyWeight 1 − steadyBeta2, never rounded to 0
 * @param epsilon1 added to the squared gradient
 * @param epsilon2 the least scale of a variable
 * @param one 1
 * @param clipThreshold d, the largest rms of an update that is left alone
 */
record Scalars<T extends TNumber>(
    Operand<T> rho,
    Operand<T> beta2,
    Operand<T> oneMinusBeta2,
    Operand<T> steadyBeta2,
    Operand<T> steadyWeight,
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
   * @param type in which the update is computed
   * @param variableType of the variables
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
    Operand<TInt64> next = tf.math.add(iterations, tf.constant(1L));
    Operand<T> rho =
        tf.math.minimum(
            tf.dtypes.cast(learningRate, type), tf.math.rsqrt(tf.dtypes.cast(next, type)));
    Operand<V> narrowBeta2 = oneMinus(constants, decayPower(constants, variableType, config, next));
    Operand<T> beta2 = UpdateStep.cast(tf, narrowBeta2, type);
    Operand<T> oneMinusBeta2 = UpdateStep.cast(tf, oneMinus(constants, narrowBeta2), type);
    // Late in a run beta2 is 1 in the variables' type: averages would stand still there.
    Operand<TBool> roundedAway = tf.math.equal(oneMinusBeta2, constants.number(type, 0));
    Operand<T> decayPower = decayPower(constants, type, config, next);
    return new Scalars<>(
        rho,
        beta2,
        oneMinusBeta2,
        tf.select(roundedAway, oneMinus(constants, decayPower), beta2),
        tf.select(roundedAway, decayPower, oneMinusBeta2),
        constants.number(type, config.epsilon1()),
        constants.number(type, (float) config.epsilon2()),
        constants.number(type, 1),
        constants.number(type, config.clipThreshold()));
  }

  /** t^beta_2_decay. */
  private static <T extends TNumber> Operand<T> decayPower(
      Constants constants, Class<T> type, AdafactorConfig config, Operand<TInt64> next) {
    Ops tf = constants.ops();
    return tf.math.pow(tf.dtypes.cast(next, type), constants.number(type, config.beta2Decay()));
  }

  private static <T extends TNumber> Operand<T> oneMinus(Constants constants, Operand<T> x) {
    return constants.ops().math.sub(constants.number(x.type(), 1), x);
  }

  /** The scalars in the order of {@link #of(List)}. */
  List<Operand<T>> parts() {
    return List.of(
        rho,
        beta2,
        oneMinusBeta2,
        steadyBeta2,
        steadyWeight,
        epsilon1,
        epsilon2,
        one,
        clipThreshold);
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
        parts.get(7),
        parts.get(8));
  }
}
