package dev.adafactor;

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
 *   <li>The factors of 1/√v are applied one after the other, as {@code g · √mean(r)/√r · 1/√c}: the
 *       product {@code r/mean(r)·c} of a dead row and a dead column underflows.
 *   <li>float16 and bfloat16 are computed, and their state is kept, in float32: a square leaves
 *       float16 at 256, and 1 − t^-0.8 is 1 in bfloat16 from the 600th step on.
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
      <T extends TNumber> Operand<T> columnMeans(Ops tf, Operand<T> x) {
        if (x.shape().numDimensions() > 2) {
          return BROADCASTS.columnMeans(tf, x);
        }
        long rows = x.shape().get(0);
        Class<T> type = x.type();
        Operand<T> weights = tf.fill(tf.constant(new long[] {1, rows}), constant(tf, type, 1));
        Operand<T> sums = tf.linalg.matMul(weights, x);
        return tf.math.div(
            tf.reshape(sums, tf.constant(new long[] {x.shape().get(1)})),
            constant(tf, type, (double) rows));
      }

      @Override
      <T extends TNumber> Operand<T> scaled(Ops tf, Operand<T> x, Operand<T> a, Operand<T> b) {
        if (x.shape().numDimensions() > 2) {
          return BROADCASTS.scaled(tf, x, a, b);
        }
        return tf.math.mul(
            x,
            tf.linalg.matMul(tf.expandDims(a, tf.constant(-1)), tf.expandDims(b, tf.constant(-2))));
      }
    },

    /** As reductions and broadcasts: XLA fuses them, and no GPU rounds them to tf32. */
    BROADCASTS {
      @Override
      <T extends TNumber> Operand<T> columnMeans(Ops tf, Operand<T> x) {
        return tf.math.mean(x, tf.constant(-2));
      }

      @Override
      <T extends TNumber> Operand<T> scaled(Ops tf, Operand<T> x, Operand<T> a, Operand<T> b) {
        return tf.math.mul(
            tf.math.mul(x, tf.expandDims(a, tf.constant(-1))), tf.expandDims(b, tf.constant(-2)));
      }
    };

    /** The means over the last but one axis. */
    abstract <T extends TNumber> Operand<T> columnMeans(Ops tf, Operand<T> x);

    /** x times a along the rows and b along the columns. */
    abstract <T extends TNumber> Operand<T> scaled(
        Ops tf, Operand<T> x, Operand<T> a, Operand<T> b);
  }

  @Override
  public Class<? extends TNumber> computeType(Class<? extends TNumber> variable) {
    return variable == TFloat64.class ? TFloat64.class : TFloat32.class;
  }

  @Override
  public <T extends TNumber> Step<T> step(
      Ops tf, Scalars<T> s, Operand<T> g, Operand<T> w, SecondMoment<T> state) {
    // alpha_t = max(epsilon_2, rms(w)) * rho_t
    Operand<T> alpha = tf.math.mul(tf.math.maximum(s.epsilon2(), rms(tf, w)), s.rho());
    Operand<T> square = tf.math.square(g);
    SecondMoment<T> moved =
        state.map(
            r -> average(tf, s, r, tf.math.mean(square, tf.constant(-1))),
            c -> average(tf, s, c, passes.columnMeans(tf, square)),
            v -> average(tf, s, v, square));
    // u_t = g / sqrt(v)
    Operand<T> u =
        moved.reduce(
            (r, c) -> {
              Operand<T> mean = tf.math.mean(r, tf.constant(-1), Mean.keepDims(true));
              Operand<T> rows = tf.math.mul(inverseRoot(tf, r), tf.math.sqrt(mean));
              return passes.scaled(tf, g, rows, inverseRoot(tf, c));
            },
            v -> tf.math.mul(g, inverseRoot(tf, v)));
    // alpha_t / max(1, rms(u_t) / clip_threshold); a threshold of 0 freezes the variable
    Operand<T> threshold = tf.math.maximum(s.clipThreshold(), tiny(tf, g.type()));
    Operand<T> divisor = tf.math.maximum(s.one(), tf.math.div(rms(tf, u), threshold));
    return new Step<>(tf.math.div(alpha, divisor), u, moved);
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
        tf.math.mul(s.decayPower(), tf.math.add(value, s.epsilon1())));
  }

  /** 1/√x; where x is 0, or less than CPUs reckon with, a large number in place of infinity. */
  private static <T extends TNumber> Operand<T> inverseRoot(Ops tf, Operand<T> x) {
    return tf.math.rsqrt(tf.math.maximum(x, tiny(tf, x.type())));
  }

  private static <T extends TNumber> Operand<T> rms(Ops tf, Operand<T> x) {
    Shape shape = x.shape();
    return tf.math.sqrt(tf.math.mul(tf.nn.l2Loss(x), constant(tf, x.type(), 2.0 / shape.size())));
  }

  private static <T extends TNumber> Operand<T> tiny(Ops tf, Class<T> type) {
    return constant(tf, type, type == TFloat64.class ? Double.MIN_NORMAL : Float.MIN_NORMAL);
  }

  private static <T extends TNumber> Operand<T> constant(Ops tf, Class<T> type, double value) {
    return type == TFloat64.class ? cast(tf.constant(value)) : cast(tf.constant((float) value));
  }

  @SuppressWarnings("unchecked") // Only float32 and float64 are computed in; see computeType.
  private static <T extends TNumber> Operand<T> cast(Operand<?> constant) {
    return (Operand<T>) constant;
  }
}
