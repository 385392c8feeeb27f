package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import java.util.function.UnaryOperator;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Mean;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * {@link Numerics#STABLE}: the same mathematics as tf_keras's {@code update_step}, finite wherever
 * the mathematics is, in few passes over memory.
 *
 * <ul>
 *   <li>The factors of 1/√v are applied one after the other, as {@code g · 1/√(r/mean(r)) · 1/√c}:
 *       the product {@code r/mean(r)·c} of a dead row and a dead column underflows.
 *   <li>float16 and bfloat16 are computed, and their state is kept, in float32: a square leaves
 *       float16 at 256. Where the type has rounded 1 − beta2 to 0, it is t^beta_2_decay.
 *   <li>epsilon_1 is added to the means, not to each square: the mean is linear.
 * </ul>
 */
final class StableUpdate implements UpdateRule {

  private final MatrixOperations matrices;

  StableUpdate(MatrixOperations matrices) {
    this.matrices = matrices;
  }

  @Override
  public Class<? extends TNumber> computeType(Class<? extends TNumber> variable) {
    return variable == TFloat64.class ? TFloat64.class : TFloat32.class;
  }

  @Override
  public <T extends TNumber> Step<T> step(
      Constants constants, Scalars<T> s, Operand<T> g, Operand<T> w, SecondMoment<T> state) {
    Ops tf = constants.ops();
    if (g.shape().size() == 0) {
      Factors<T> none = withoutElements(constants, s, state);
      return new Step<>(none.rate(), g, state, none.statistics());
    }
    Extent extent = Extent.VARIABLE;
    WholePasses<T> passes = new WholePasses<>(tf, constants, matrices, extent, g);
    Factors<T> factors = factors(constants, s, passes, extent.meanSquare(tf, constants, w), state);
    return new Step<>(factors.rate(), passes.direction(), factors.state(), factors.statistics());
  }

  /**
   * What a step is made of: the variable becomes {@code w - rate * g * inverseRoots}.
   *
   * @param rate a scalar, or one for each variable of a stack
   * @param inverseRoots 1/√v
   * @param state the new second moment
   */
  record Factors<T extends TNumber>(
      Operand<T> rate,
      SecondMoment<T> inverseRoots,
      SecondMoment<T> state,
      UpdateStatistics<T> statistics) {}

  /**
   * Adds the operations of the step, but for the write.
   *
   * @param g the gradient, of variables with elements
   * @param variableMeanSquare rms(w)², after weight decay
   */
  static <T extends TNumber> Factors<T> factors(
      Constants constants,
      Scalars<T> s,
      Passes<T> g,
      Operand<T> variableMeanSquare,
      SecondMoment<T> state) {
    SecondMoment<T> moved = moved(constants.ops(), s, state, g.meanSquares());
    SecondMoment<T> inverseRoots = inverseRoots(constants, moved, r -> mean(constants, r));
    UpdateStatistics<T> statistics =
        statistics(constants, s, variableMeanSquare, g.updateMeanSquare(inverseRoots));
    return new Factors<>(statistics.rate(constants.ops()), inverseRoots, moved, statistics);
  }

  /** r and c, or v: the moving averages of the means of g² + epsilon_1. */
  static <T extends TNumber> SecondMoment<T> moved(
      Ops tf, Scalars<T> s, SecondMoment<T> before, SecondMoment<T> meanSquares) {
    // beta_2_t * average + (1 - beta_2_t) * (mean + epsilon_1)
    return before.combine(
        meanSquares,
        (average, mean) ->
            tf.math.add(
                tf.math.mul(s.beta2(), average),
                tf.math.mul(s.gradientWeight(), tf.math.add(mean, s.epsilon1()))));
  }

  /**
   * 1/√v, where v = r/mean(r) · c.
   *
   * @param mean gives mean(r) of r
   */
  static <T extends TNumber> SecondMoment<T> inverseRoots(
      Constants constants, SecondMoment<T> moved, UnaryOperator<Operand<T>> mean) {
    return moved.map(
        r ->
            inverseRoot(
                constants, constants.ops().math.div(r, atLeastTiny(constants, mean.apply(r)))),
        c -> inverseRoot(constants, c),
        v -> inverseRoot(constants, v));
  }

  /**
   * The scalars of the step, the size of it and the clipping among them.
   *
   * @param variableMeanSquare rms(w)²
   * @param updateMeanSquare rms(u)²
   */
  static <T extends TNumber> UpdateStatistics<T> statistics(
      Constants constants,
      Scalars<T> s,
      Operand<T> variableMeanSquare,
      Operand<T> updateMeanSquare) {
    Ops tf = constants.ops();
    Operand<T> variableRms = tf.math.sqrt(variableMeanSquare);
    // alpha_t = max(epsilon_2, rms(w)) * rho_t
    Operand<T> alpha = tf.math.mul(tf.math.maximum(s.epsilon2(), variableRms), s.rho());
    // max(1, rms(u_t) / clip_threshold); where both are 0, the variable stays
    Operand<T> updateRms = tf.math.sqrt(updateMeanSquare);
    Operand<T> clipping =
        tf.math.maximum(s.one(), tf.math.div(atLeastTiny(constants, updateRms), s.clipThreshold()));
    return new UpdateStatistics<>(s.rho(), s.beta2(), variableRms, alpha, updateRms, clipping);
  }

  /** Nothing to do; the means would be 0/0. */
  static <T extends TNumber> Factors<T> withoutElements(
      Constants constants, Scalars<T> s, SecondMoment<T> state) {
    Operand<T> zero = constants.number(s.rho().type(), 0);
    return new Factors<>(
        s.rho(),
        state,
        state,
        new UpdateStatistics<>(s.rho(), s.beta2(), zero, s.rho(), zero, s.one()));
  }

  @Override
  @SuppressWarnings("unchecked") // The first branch is taken where the types are the same.
  public <T extends TNumber, C extends TNumber> Op apply(
      Ops ops,
      Ops gated,
      VariableView<T> variable,
      Operand<T> w,
      Operand<C> rate,
      Operand<C> direction) {
    if (computeType(variable.type()) == variable.type()) {
      return variable.applyGradientDescent(gated, (Operand<T>) rate, (Operand<T>) direction);
    }
    Operand<C> wide = ops.dtypes.cast(w, rate.type());
    return variable.assign(
        gated, ops.dtypes.cast(ops.math.sub(wide, ops.math.mul(rate, direction)), variable.type()));
  }

  /** The mean over the last axis, which is kept. */
  static <T extends TNumber> Operand<T> mean(Constants constants, Operand<T> r) {
    return constants.ops().math.mean(r, constants.axes(-1), Mean.keepDims(true));
  }

  /**
   * 1/√x; where x is 0, or less than CPUs reckon with, a large number in place of infinity. Of r
   * and c it is taken one by one: 1/√r · √mean(r) times 1/√c overflows for a dead row and column.
   */
  private static <T extends TNumber> Operand<T> inverseRoot(Constants constants, Operand<T> x) {
    return constants.ops().math.rsqrt(atLeastTiny(constants, x));
  }

  private static <T extends TNumber> Operand<T> atLeastTiny(Constants constants, Operand<T> x) {
    double tiny = x.type() == TFloat64.class ? Double.MIN_NORMAL : Float.MIN_NORMAL;
    return constants.ops().math.maximum(x, constants.number(x.type(), tiny));
  }
}
