package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
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
      Constants constants, AdafactorConfig config, List<Operand<? extends TNumber>> gradients) {
    if (config.clipnorm().orElse(0) > 0) {
      return map(gradients, g -> byNorm(constants, g, config.clipnorm().getAsDouble()));
    }
    if (config.globalClipnorm().orElse(0) > 0) {
      return byGlobalNorm(constants, gradients, config.globalClipnorm().getAsDouble());
    }
    if (config.clipvalue().orElse(0) > 0) {
      return map(gradients, g -> byValue(constants, g, config.clipvalue().getAsDouble()));
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

  /** {@code constants.ops().clip_by_norm}. */
  private static <T extends TNumber> Operand<T> byNorm(
      Constants constants, Operand<T> g, double clipnorm) {
    Operand<T> limit = constants.number(g.type(), clipnorm);
    Operand<T> squares =
        constants
            .ops()
            .reduceSum(
                constants.ops().math.mul(g, g), constants.allAxes(g), ReduceSum.keepDims(true));
    Operand<T> norm =
        constants
            .ops()
            .select(
                constants.ops().math.greater(squares, constants.number(g.type(), 0)),
                constants.ops().math.sqrt(squares),
                squares);
    return constants
        .ops()
        .math
        .div(constants.ops().math.mul(g, limit), constants.ops().math.maximum(norm, limit));
  }

  /** {@code constants.ops().clip_by_global_norm}. */
  private static List<Operand<? extends TNumber>> byGlobalNorm(
      Constants constants, List<Operand<? extends TNumber>> gradients, double clipnorm) {
    List<Class<? extends TNumber>> types =
        gradients.stream().<Class<? extends TNumber>>map(Operand::type).distinct().toList();
    // tf_keras fails where there are several types. The wider one holds the norms of all.
    Class<? extends TNumber> wider =
        types.contains(TFloat64.class) ? TFloat64.class : TFloat32.class;
    Class<? extends TNumber> type = types.size() == 1 ? types.get(0) : wider;
    return byGlobalNorm(constants, gradients, clipnorm, type);
  }

  private static <N extends TNumber> List<Operand<? extends TNumber>> byGlobalNorm(
      Constants constants,
      List<Operand<? extends TNumber>> gradients,
      double clipnorm,
      Class<N> type) {
    List<Operand<N>> halfSquares = new ArrayList<>(gradients.size());
    for (Operand<? extends TNumber> g : gradients) {
      halfSquares.add(cast(constants, constants.ops().nn.l2Loss(cast(constants, g, type)), type));
    }
    Operand<N> halfSquare =
        constants
            .ops()
            .reduceSum(constants.ops().stack(halfSquares), constants.ops().constant(new int[] {0}));
    Operand<N> norm =
        constants.ops().math.sqrt(constants.ops().math.mul(halfSquare, constants.number(type, 2)));
    Operand<N> one = constants.number(type, 1);
    Operand<N> limit = constants.number(type, clipnorm);
    Operand<N> finiteScale =
        constants
            .ops()
            .math
            .mul(
                limit,
                constants
                    .ops()
                    .math
                    .minimum(
                        constants.ops().math.div(one, norm), constants.ops().math.div(one, limit)));
    // Nothing for a finite norm, else NaN.
    Operand<N> scale = constants.ops().math.add(finiteScale, constants.ops().math.sub(norm, norm));
    return map(gradients, g -> scaled(constants, g, scale));
  }

  private static <T extends TNumber> Operand<T> scaled(
      Constants constants, Operand<T> g, Operand<? extends TNumber> scale) {
    return constants.ops().math.mul(g, cast(constants, scale, g.type()));
  }

  /** {@code constants.ops().clip_by_value}. */
  private static <T extends TNumber> Operand<T> byValue(
      Constants constants, Operand<T> g, double clipvalue) {
    return constants
        .ops()
        .math
        .maximum(
            constants.ops().math.minimum(g, constants.number(g.type(), clipvalue)),
            constants.number(g.type(), -clipvalue));
  }

  @SuppressWarnings("unchecked") // Of that type already.
  private static <T extends TNumber> Operand<T> cast(
      Constants constants, Operand<? extends TNumber> x, Class<T> type) {
    return x.type().equals(type) ? (Operand<T>) x : constants.ops().dtypes.cast(x, type);
  }
}
