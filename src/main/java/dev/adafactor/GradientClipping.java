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

  private final Constants constants;
  private final Ops tf;

  private GradientClipping(Constants constants) {
    this.constants = constants;
    this.tf = constants.ops();
  }

  /** Adds the clipping that the configuration asks for; without any, the gradients as they are. */
  static List<Operand<? extends TNumber>> clip(
      Constants constants, AdafactorConfig config, List<Operand<? extends TNumber>> gradients) {
    GradientClipping clipping = new GradientClipping(constants);
    if (config.clipnorm().orElse(0) > 0) {
      return map(gradients, g -> clipping.byNorm(g, config.clipnorm().getAsDouble()));
    }
    if (config.globalClipnorm().orElse(0) > 0) {
      return clipping.byGlobalNorm(gradients, config.globalClipnorm().getAsDouble());
    }
    if (config.clipvalue().orElse(0) > 0) {
      return map(gradients, g -> clipping.byValue(g, config.clipvalue().getAsDouble()));
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

  /** {@code tf.clip_by_norm}: g * clipnorm / max(norm, clipnorm). */
  private <T extends TNumber> Operand<T> byNorm(Operand<T> g, double clipnorm) {
    Operand<T> limit = constants.number(g.type(), clipnorm);
    Operand<T> zero = constants.number(g.type(), 0);
    Operand<T> squares =
        tf.reduceSum(tf.math.mul(g, g), constants.allAxes(g), ReduceSum.keepDims(true));
    Operand<T> norm = tf.select(tf.math.greater(squares, zero), tf.math.sqrt(squares), squares);
    return tf.math.div(tf.math.mul(g, limit), tf.math.maximum(norm, limit));
  }

  /** {@code tf.clip_by_global_norm}. */
  private List<Operand<? extends TNumber>> byGlobalNorm(
      List<Operand<? extends TNumber>> gradients, double clipnorm) {
    List<Class<? extends TNumber>> types =
        gradients.stream().<Class<? extends TNumber>>map(Operand::type).distinct().toList();
    // tf_keras fails where there are several types. The wider one holds the norms of all.
    Class<? extends TNumber> wider =
        types.contains(TFloat64.class) ? TFloat64.class : TFloat32.class;
    Class<? extends TNumber> type = types.size() == 1 ? types.get(0) : wider;
    Operand<? extends TNumber> scale = globalScale(gradients, clipnorm, type);
    return map(gradients, g -> scaled(g, scale));
  }

  /** clipnorm * min(1 / norm, 1 / clipnorm), and NaN where the norm is not finite. */
  private <N extends TNumber> Operand<N> globalScale(
      List<Operand<? extends TNumber>> gradients, double clipnorm, Class<N> type) {
    List<Operand<N>> halfSquares = new ArrayList<>(gradients.size());
    for (Operand<? extends TNumber> g : gradients) {
      halfSquares.add(tf.nn.l2Loss(WholeUpdateStep.cast(tf, g, type)));
    }
    Operand<N> halfSquare = tf.reduceSum(tf.stack(halfSquares), constants.axes(0));
    Operand<N> norm = tf.math.sqrt(tf.math.mul(halfSquare, constants.number(type, 2)));
    Operand<N> one = constants.number(type, 1);
    Operand<N> limit = constants.number(type, clipnorm);
    Operand<N> scale =
        tf.math.mul(limit, tf.math.minimum(tf.math.div(one, norm), tf.math.div(one, limit)));
    return tf.math.add(scale, tf.math.sub(norm, norm));
  }

  private <T extends TNumber> Operand<T> scaled(Operand<T> g, Operand<? extends TNumber> scale) {
    return tf.math.mul(g, WholeUpdateStep.cast(tf, scale, g.type()));
  }

  /** {@code tf.clip_by_value}. */
  private <T extends TNumber> Operand<T> byValue(Operand<T> g, double clipvalue) {
    Operand<T> most = constants.number(g.type(), clipvalue);
    Operand<T> least = constants.number(g.type(), -clipvalue);
    return tf.math.maximum(tf.math.minimum(g, most), least);
  }
}
