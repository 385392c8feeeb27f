package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Mean;
import org.tensorflow.types.family.TNumber;

/**
 * {@link Numerics#TF_KERAS}: {@code Adafactor.update_step} of tf_keras 2.18, operation by operation
 * and in its order, so that rounding, overflow and underflow are its own.
 */
final class TfKerasUpdate implements UpdateRule {

  @Override
  public Class<? extends TNumber> computeType(Class<? extends TNumber> variable) {
    return variable;
  }

  @Override
  public <T extends TNumber> Step<T> step(
      Constants constants, Scalars<T> s, Operand<T> g, Operand<T> w, SecondMoment<T> state) {
    Ops tf = constants.ops();
    // alpha_t = max(epsilon_2, rms(w)) * rho_t
    Operand<T> variableRms = rms(constants, w);
    Operand<T> alpha = tf.math.mul(tf.math.maximum(s.epsilon2(), variableRms), s.rho());
    // regulated_grad_square = g^2 + epsilon_1
    Operand<T> square = tf.math.add(tf.math.square(g), s.epsilon1());
    SecondMoment<T> moved =
        state.map(
            r -> average(tf, s, r, tf.math.mean(square, constants.axes(-1))),
            c -> average(tf, s, c, tf.math.mean(square, constants.axes(-2))),
            v -> average(tf, s, v, square));
    // u_t = g * rsqrt(v)
    Operand<T> u = tf.math.mul(g, tf.math.rsqrt(v(constants, moved)));
    // u_t_hat = u_t / max(1, rms(u_t) / clip_threshold)
    Operand<T> updateRms = rms(constants, u);
    Operand<T> divisor = tf.math.maximum(s.one(), tf.math.div(updateRms, s.clipThreshold()));
    return new Step<>(
        alpha,
        tf.math.div(u, divisor),
        moved,
        new UpdateStatistics<>(s.rho(), s.beta2(), variableRms, alpha, updateRms, divisor));
  }

  @Override
  @SuppressWarnings("unchecked") // Computed in the variable's own type.
  public <T extends TNumber, C extends TNumber> Op apply(
      Ops ops,
      Ops gated,
      VariableView<T> variable,
      Operand<T> w,
      Operand<C> rate,
      Operand<C> direction) {
    // variable.assign_add(-alpha_t * u_t_hat)
    return variable.assignAdd(gated, (Operand<T>) ops.math.mul(ops.math.neg(rate), direction));
  }

  /** beta_2_t * average + (1 - beta_2_t) * value. */
  private static <T extends TNumber> Operand<T> average(
      Ops tf, Scalars<T> s, Operand<T> average, Operand<T> value) {
    return tf.math.add(tf.math.mul(s.beta2(), average), tf.math.mul(s.oneMinusBeta2(), value));
  }

  /** The second moment whole: expand_dims(r / mean(r), -1) * expand_dims(c, -2) where factored. */
  static <T extends TNumber> Operand<T> v(Constants constants, SecondMoment<T> state) {
    Ops tf = constants.ops();
    return state.reduce(
        (r, c) -> {
          Operand<T> mean = tf.math.mean(r, constants.axes(-1), Mean.keepDims(true));
          return tf.math.mul(
              tf.expandDims(tf.math.div(r, mean), constants.axes(-1)),
              tf.expandDims(c, constants.axes(-2)));
        },
        v -> v);
  }

  private static <T extends TNumber> Operand<T> rms(Constants constants, Operand<T> x) {
    Ops tf = constants.ops();
    return tf.math.sqrt(tf.math.mean(tf.math.square(x), constants.allAxes(x)));
  }
}
