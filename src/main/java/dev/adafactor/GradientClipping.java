package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.OrderedSum;
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
   * A gradient, or the part of one that belongs to a shard.
   *
   * @param constants of the scope where operations on it are added
   */
  record Placed(Constants constants, Operand<? extends TNumber> gradient) {}

  /**
   * Adds the clipping that the configuration asks for; without any, the gradients as they are.
   *
   * @param shared of the scope for what the gradients have in common
   * @param gradients for each variable the parts of its gradient, of one type
   * @return in the same order
   */
  static List<List<Operand<? extends TNumber>>> clip(
      Constants shared, AdafactorConfig config, List<List<Placed>> gradients) {
    if (config.clipnorm().orElse(0) > 0) {
      return gradients.stream()
          .map(parts -> byNorm(parts, config.clipnorm().getAsDouble()))
          .toList();
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

  private static List<List<Operand<? extends TNumber>>> map(
      List<List<Placed>> gradients, Clip clip) {
    return gradients.stream().map(parts -> mapParts(parts, clip)).toList();
  }

  private static List<Operand<? extends TNumber>> mapParts(List<Placed> parts, Clip clip) {
    List<Operand<? extends TNumber>> clipped = new ArrayList<>(parts.size());
    parts.forEach(part -> clipped.add(clip.apply(part.constants(), part.gradient())));
    return clipped;
  }

  private static List<Operand<? extends TNumber>> byNorm(List<Placed> parts, double clipnorm) {
    return byNorm(parts, clipnorm, parts.get(0).gradient().type());
  }

  /** {@code tf.clip_by_norm}: g * clipnorm / max(norm, clipnorm). */
  private static <T extends TNumber> List<Operand<? extends TNumber>> byNorm(
      List<Placed> parts, double clipnorm, Class<T> type) {
    Constants constants = parts.get(0).constants();
    Ops tf = constants.ops();
    List<Operand<T>> ofParts = new ArrayList<>();
    for (Placed part : parts) {
      Operand<T> g = WholeUpdateStep.cast(part.constants().ops(), part.gradient(), type);
      ofParts.add(
          part.constants()
              .ops()
              .reduceSum(
                  part.constants().ops().math.mul(g, g),
                  part.constants().allAxes(g),
                  ReduceSum.keepDims(true)));
    }
    Operand<T> squares = OrderedSum.of(tf, ofParts);
    Operand<T> limit = constants.number(type, clipnorm);
    Operand<T> zero = constants.number(type, 0);
    Operand<T> norm = tf.select(tf.math.greater(squares, zero), tf.math.sqrt(squares), squares);
    Operand<T> divisor = tf.math.maximum(norm, limit);
    return mapParts(
        parts,
        (there, g) -> {
          Operand<T> typed = WholeUpdateStep.cast(there.ops(), g, type);
          return there
              .ops()
              .math
              .div(there.ops().math.mul(typed, there.number(type, clipnorm)), divisor);
        });
  }

  /** {@code tf.clip_by_global_norm}. */
  private static List<List<Operand<? extends TNumber>>> byGlobalNorm(
      Constants shared, List<List<Placed>> gradients, double clipnorm) {
    List<Placed> parts = gradients.stream().flatMap(List::stream).toList();
    List<Class<? extends TNumber>> types =
        parts.stream().<Class<? extends TNumber>>map(g -> g.gradient().type()).distinct().toList();
    // tf_keras fails where there are several types. The wider one holds the norms of all.
    Class<? extends TNumber> wider =
        types.contains(TFloat64.class) ? TFloat64.class : TFloat32.class;
    Class<? extends TNumber> type = types.size() == 1 ? types.get(0) : wider;
    Operand<? extends TNumber> scale = globalScale(shared, parts, clipnorm, type);
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
