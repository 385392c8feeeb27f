package dev.adafactor;

import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.ReduceSum;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * tf_keras's {@code _clip_gradients}: the first of clipnorm, global_clipnorm and clipvalue that is
 * greater than 0. Of a sparse gradient it sees the values as they are, duplicate rows not yet added
 * up.
 */
final class GradientClipping {

  private GradientClipping() {}

  static List<Operand<? extends TNumber>> clip(
      Ops tf, AdafactorConfig config, List<Operand<? extends TNumber>> gradients) {
    if (config.clipnorm().orElse(0) > 0) {
      return map(gradients, g -> byNorm(tf, g, config.clipnorm().getAsDouble()));
    }
    if (config.globalClipnorm().orElse(0) > 0) {
      return byGlobalNorm(tf, gradients, config.globalClipnorm().getAsDouble());
    }
    if (config.clipvalue().orElse(0) > 0) {
      return map(gradients, g -> byValue(tf, g, config.clipvalue().getAsDouble()));
    }
    return gradients;
  }

  private interface Clip {
    Operand<? extends TNumber> apply(Operand<? extends TNumber> gradient);
  }

  private static List<Operand<? extends TNumber>> map(
      List<Operand<? extends TNumber>> gradients, Clip clip) {
    List<Operand<? extends TNumber>> clipped = new ArrayList<>(gradients.size());
    gradients.forEach(g -> clipped.add(clip.apply(g)));
    return clipped;
  }

  /** {@code tf.clip_by_norm}. */
  private static <T extends TNumber> Operand<T> byNorm(Ops tf, Operand<T> g, double clipnorm) {
    Operand<T> limit = Scalars.constant(tf, g.type(), clipnorm);
    Operand<T> squares =
        tf.reduceSum(tf.math.mul(g, g), UpdateRule.allAxes(tf, g), ReduceSum.keepDims(true));
    Operand<T> norm =
        tf.select(
            tf.math.greater(squares, Scalars.constant(tf, g.type(), 0)),
            tf.math.sqrt(squares),
            squares);
    return tf.math.div(tf.math.mul(g, limit), tf.math.maximum(norm, limit));
  }

  /** {@code tf.clip_by_global_norm}. */
  private static List<Operand<? extends TNumber>> byGlobalNorm(
      Ops tf, List<Operand<? extends TNumber>> gradients, double clipnorm) {
    List<Class<? extends TNumber>> types =
        gradients.stream().<Class<? extends TNumber>>map(Operand::type).distinct().toList();
    // tf_keras fails where there are several types. The wider one holds the norms of all.
    Class<? extends TNumber> wider =
        types.contains(TFloat64.class) ? TFloat64.class : TFloat32.class;
    Class<? extends TNumber> type = types.size() == 1 ? types.get(0) : wider;
    return byGlobalNorm(tf, gradients, clipnorm, type);
  }

  private static <N extends TNumber> List<Operand<? extends TNumber>> byGlobalNorm(
      Ops tf, List<Operand<? extends TNumber>> gradients, double clipnorm, Class<N> type) {
    List<Operand<N>> halfSquares = new ArrayList<>(gradients.size());
    for (Operand<? extends TNumber> g : gradients) {
      halfSquares.add(cast(tf, tf.nn.l2Loss(cast(tf, g, type)), type));
    }
    Operand<N> halfSquare = tf.reduceSum(tf.stack(halfSquares), tf.constant(new int[] {0}));
    Operand<N> norm = tf.math.sqrt(tf.math.mul(halfSquare, Scalars.constant(tf, type, 2)));
    Operand<N> one = Scalars.constant(tf, type, 1);
    Operand<N> limit = Scalars.constant(tf, type, clipnorm);
    Operand<N> finiteScale =
        tf.math.mul(limit, tf.math.minimum(tf.math.div(one, norm), tf.math.div(one, limit)));
    // Nothing for a finite norm, else NaN.
    Operand<N> scale = tf.math.add(finiteScale, tf.math.sub(norm, norm));
    return map(gradients, g -> scaled(tf, g, scale));
  }

  private static <T extends TNumber> Operand<T> scaled(
      Ops tf, Operand<T> g, Operand<? extends TNumber> scale) {
    return tf.math.mul(g, cast(tf, scale, g.type()));
  }

  /** {@code tf.clip_by_value}. */
  private static <T extends TNumber> Operand<T> byValue(Ops tf, Operand<T> g, double clipvalue) {
    return tf.math.maximum(
        tf.math.minimum(g, Scalars.constant(tf, g.type(), clipvalue)),
        Scalars.constant(tf, g.type(), -clipvalue));
  }

  @SuppressWarnings("unchecked") // Of that type already.
  private static <T extends TNumber> Operand<T> cast(
      Ops tf, Operand<? extends TNumber> x, Class<T> type) {
    return x.type().equals(type) ? (Operand<T>) x : tf.dtypes.cast(x, type);
  }
}
