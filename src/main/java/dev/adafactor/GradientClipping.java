package dev.adafactor;

import dev.adafactor.graph.Constants;
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

  /**
   * A gradient.
   *
   * @param constants of the scope where operations on it are added
   */
  record Placed(Constants constants, Operand<? extends TNumber> gradient) {}

  /**
   * Adds the clipping that the configuration asks for; without any, the gradients as they are.
   *
   * @param shared of the scope for what the gradients have in common
   */
  static List<Operand<? extends TNumber>> clip(
      Constants shared, AdafactorConfig config, List<Placed> gradients) {
    if (config.clipnorm().orElse(0) > 0) {
      return map(gradients, (tf, g) -> byNorm(tf, g, config.clipnorm().getAsDouble()));
    }
    if (config.globalClipnorm().orElse(0) > 0) {
      return byGlobalNorm(shared, gradients, config.globalClipnorm().getAsDouble());
    }
    if (config.clipvalue().orElse(0) > 0) {
      return map(gradients, (tf, g) -> byValue(tf, g, config.clipvalue().getAsDouble()));
    }
    return map(gradients, (tf, g) -> g);
  }

  private interface Clip {
    Operand<? extends TNumber> apply(Constants constants, Operand<? extends TNumber> gradient);
  }

  private static List<Operand<? extends TNumber>> map(List<Placed> gradients, Clip clip) {
    List<Operand<? extends TNumber>> clipped = new ArrayList<>(gradients.size());
    gradients.forEach(g -> clipped.add(clip.apply(g.constants(), g.gradient())));
    return clipped;
  }

  /** {@code tf.clip_by_norm}: g * clipnorm / max(norm, clipnorm). */
  private static <T extends TNumber> Operand<T> byNorm(
      Constants constants, Operand<T> g, double clipnorm) {
    Ops tf = constants.ops();
    Operand<T> limit = constants.number(g.type(), clipnorm);
    Operand<T> zero = constants.number(g.type(), 0);
    Operand<T> squares =
        tf.reduceSum(tf.math.mul(g, g), constants.allAxes(g), ReduceSum.keepDims(true));
    Operand<T> norm = tf.select(tf.math.greater(squares, zero), tf.math.sqrt(squares), squares);
    return tf.math.div(tf.math.mul(g, limit), tf.math.maximum(norm, limit));
  }

  /** {@code tf.clip_by_global_norm}. */
  private static List<Operand<? extends TNumber>> byGlobalNorm(
      Constants shared, List<Placed> gradients, double clipnorm) {
    List<Class<? extends TNumber>> types =
        gradients.stream()
            .<Class<? extends TNumber>>map(g -> g.gradient().type())
            .distinct()
            .toList();
    // tf_keras fails where there are several types. The wider one holds the norms of all.
    Class<? extends TNumber> wider =
        types.contains(TFloat64.class) ? TFloat64.class : TFloat32.class;
    Class<? extends TNumber> type = types.size() == 1 ? types.get(0) : wider;
    Operand<? extends TNumber> scale = globalScale(shared, gradients, clipnorm, type);
    return map(gradients, (constants, g) -> scaled(constants.ops(), g, scale));
  }

  /** clipnorm * min(1 / norm, 1 / clipnorm), and NaN where the norm is not finite. */
  private static <N extends TNumber> Operand<N> globalScale(
      Constants constants, List<Placed> gradients, double clipnorm, Class<N> type) {
    Ops tf = constants.ops();
    List<Operand<N>> halfSquares = new ArrayList<>(gradients.size());
    for (Placed g : gradients) {
      Ops beside = g.constants().ops();
      halfSquares.add(beside.nn.l2Loss(WholeUpdateStep.cast(beside, g.gradient(), type)));
    }
    Operand<N> halfSquare = tf.reduceSum(tf.stack(halfSquares), constants.axes(0));
    Operand<N> norm = tf.math.sqrt(tf.math.mul(halfSquare, constants.number(type, 2)));
    Operand<N> one = constants.number(type, 1);
    Operand<N> limit = constants.number(type, clipnorm);
    Operand<N> scale =
        tf.math.mul(limit, tf.math.minimum(tf.math.div(one, norm), tf.math.div(one, limit)));
    return tf.math.add(scale, tf.math.sub(norm, norm));
  }

  private static <T extends TNumber> Operand<T> scaled(
      Ops tf, Operand<T> g, Operand<? extends TNumber> scale) {
    return tf.math.mul(g, WholeUpdateStep.cast(tf, scale, g.type()));
  }

  /** {@code tf.clip_by_value}. */
  private static <T extends TNumber> Operand<T> byValue(
      Constants constants, Operand<T> g, double clipvalue) {
    Ops tf = constants.ops();
    Operand<T> most = constants.number(g.type(), clipvalue);
    Operand<T> least = constants.number(g.type(), -clipvalue);
    return tf.math.maximum(tf.math.minimum(g, most), least);
  }
}
