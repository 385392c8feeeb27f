package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
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

  private final Passes passes;

  StableUpdate(Passes passes) {
    this.passes = passes;
  }

  /** The operations that pass over a whole matrix, where there is a choice of them. */
  enum Passes {
    /** As products of matrices: TensorFlow's CPU kernels for them are several times faster. */
    MATRIX_PRODUCTS {
      @Override
      <T extends TNumber> Operand<T> columnMeans(Constants constants, Operand<T> x) {
        if (x.shape().numDimensions() > 2) {
          return BROADCASTS.columnMeans(constants, x);
        }
        long rows = x.shape().get(0);
        Operand<T> weights = constants.filled(x.type(), Shape.of(1, rows), 1.0 / rows);
        return constants
            .ops()
            .reshape(
                constants.ops().linalg.matMul(weights, x),
                constants.shape(Shape.of(x.shape().get(1))));
      }

      @Override
      <T extends TNumber> Operand<T> scaled(
          Constants constants, Operand<T> x, Operand<T> a, Operand<T> b) {
        if (x.shape().numDimensions() > 2) {
          return BROADCASTS.scaled(constants, x, a, b);
        }
        Ops tf = constants.ops();
        return tf.math.mul(
            x,
            tf.linalg.matMul(
                tf.expandDims(a, constants.axes(-1)), tf.expandDims(b, constants.axes(-2))));
      }
    },

    /** As reductions and broadcasts: XLA fuses them, and no GPU rounds them to tf32. */
    BROADCASTS {
      @Override
      <T extends TNumber> Operand<T> columnMeans(Constants constants, Operand<T> x) {
        return constants.ops().math.mean(x, constants.axes(-2));
      }

      @Override
      <T extends TNumber> Operand<T> scaled(
          Constants constants, Operand<T> x, Operand<T> a, Operand<T> b) {
        Ops tf = constants.ops();
        return tf.math.mul(
            tf.math.mul(x, tf.expandDims(a, constants.axes(-1))),
            tf.expandDims(b, constants.axes(-2)));
      }
    };

    /** The means over the last but one axis. */
    abstract <T extends TNumber> Operand<T> columnMeans(Constants constants, Operand<T> x);

    /** x times a along the rows and b along the columns. */
    abstract <T extends TNumber> Operand<T> scaled(
        Constants constants, Operand<T> x, Operand<T> a, Operand<T> b);
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
      return withoutElements(constants, s, g, state);
    }
    // alpha_t = max(epsilon_2, rms(w)) * rho_t
    Operand<T> variableRms = rms(constants, w);
    Operand<T> alpha = tf.math.mul(tf.math.maximum(s.epsilon2(), variableRms), s.rho());
    Operand<T> square = tf.math.square(g);
    SecondMoment<T> moved =
        state.map(
            r -> average(tf, s, r, tf.math.mean(square, constants.axes(-1))),
            c -> average(tf, s, c, passes.columnMeans(constants, square)),
            v -> average(tf, s, v, square));
    // u_t = g / sqrt(v)
    Operand<T> u =
        moved.reduce(
            (r, c) -> {
              Operand<T> mean = tf.math.mean(r, constants.axes(-1), Mean.keepDims(true));
              // Not 1/√r · √mean(r): times 1/√c, of a dead row and a dead column, it overflows.
              Operand<T> rows =
                  inverseRoot(
                      constants, tf.math.div(r, tf.math.maximum(mean, tiny(constants, r.type()))));
              return passes.scaled(constants, g, rows, inverseRoot(constants, c));
            },
            v -> tf.math.mul(g, inverseRoot(constants, v)));
    // alpha_t / max(1, rms(u_t) / clip_threshold); where both are 0, the variable stays
    Operand<T> updateRms = rms(constants, u);
    Operand<T> rms = tf.math.maximum(updateRms, tiny(constants, g.type()));
    Operand<T> divisor = tf.math.maximum(s.one(), tf.math.div(rms, s.clipThreshold()));
    return new Step<>(
        tf.math.div(alpha, divisor),
        u,
        moved,
        new UpdateStatistics<>(s.rho(), s.beta2(), variableRms, alpha, updateRms, divisor));
  }

  /** Nothing to do; the means would be 0/0. */
  private static <T extends TNumber> Step<T> withoutElements(
      Constants constants, Scalars<T> s, Operand<T> g, SecondMoment<T> state) {
    Operand<T> zero = constants.number(g.type(), 0);
    return new Step<>(
        s.rho(),
        g,
        state,
        new UpdateStatistics<>(s.rho(), s.beta2(), zero, s.rho(), zero, s.one()));
  }

  @Override
  @SuppressWarnings("unchecked") // The first branch is taken where the types are the same.
  public <T extends TNumber, C extends TNumber> Op apply(
      Ops ops, Ops gated, VariableView<T> variable, Operand<T> w, Step<C> step) {
    if (computeType(variable.type()) == variable.type()) {
      return variable.applyGradientDescent(
          gated, (Operand<T>) step.rate(), (Operand<T>) step.direction());
    }
    Operand<C> wide = ops.dtypes.cast(w, step.rate().type());
    return variable.assign(
        gated,
        ops.dtypes.cast(
            ops.math.sub(wide, ops.math.mul(step.rate(), step.direction())), variable.type()));
  }

  /** beta_2_t * average + (1 - beta_2_t) * (value + epsilon_1). */
  private static <T extends TNumber> Operand<T> average(
      Ops tf, Scalars<T> s, Operand<T> average, Operand<T> value) {
    return tf.math.add(
        tf.math.mul(s.beta2(), average),
        tf.math.mul(s.gradientWeight(), tf.math.add(value, s.epsilon1())));
  }

  /** 1/√x; where x is 0, or less than CPUs reckon with, a large number in place of infinity. */
  private static <T extends TNumber> Operand<T> inverseRoot(Constants constants, Operand<T> x) {
    return constants.ops().math.rsqrt(constants.ops().math.maximum(x, tiny(constants, x.type())));
  }

  private static <T extends TNumber> Operand<T> rms(Constants constants, Operand<T> x) {
    Ops tf = constants.ops();
    Shape shape = x.shape();
    return tf.math.sqrt(
        tf.math.mul(tf.nn.l2Loss(x), constants.number(x.type(), 2.0 / shape.size())));
  }

  private static <T extends TNumber> Operand<T> tiny(Constants constants, Class<T> type) {
    return constants.number(type, type == TFloat64.class ? Double.MIN_NORMAL : Float.MIN_NORMAL);
  }
}
