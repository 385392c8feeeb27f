package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.List;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * The numbers that the update of a variable comes by, scalars of the graph: see {@link
 * Adafactor#statistics}. The symbols are those of {@link Adafactor}'s description.
 *
 * @param <T> the type in which the update is computed: that of the variable, but float32 for
 *     float16 and bfloat16 with {@link Numerics#STABLE}
 * @param rho the relative step size, min(learning_rate, 1/√t)
 * @param beta2 the decay of the second moment, 1 − t^beta_2_decay
 * @param variableRms rms(w), before the update and after weight decay
 * @param alpha the step size, max(epsilon_2, rms(w)) · rho
 * @param updateRms rms(u), before clipping
 * @param clipping what u is divided by, max(1, rms(u) / clip_threshold): more than 1 where the
 *     update is clipped
 */
public record UpdateStatistics<T extends TNumber>(
    Operand<T> rho,
    Operand<T> beta2,
    Operand<T> variableRms,
    Operand<T> alpha,
    Operand<T> updateRms,
    Operand<T> clipping) {

  /** By how much of u the variable becomes less: alpha_t / max(1, rms(u_t) / clip_threshold). */
  Operand<T> rate(Ops tf) {
    return tf.math.div(alpha, clipping);
  }

  /** Those of each variable of a stack. */
  List<UpdateStatistics<T>> unstacked(Constants constants, int count) {
    List<Output<T>> rms = scalars(constants, variableRms, count);
    List<Output<T>> alphas = scalars(constants, alpha, count);
    List<Output<T>> updates = scalars(constants, updateRms, count);
    List<Output<T>> clippings = scalars(constants, clipping, count);
    return IntStream.range(0, count)
        .mapToObj(
            i ->
                new UpdateStatistics<>(
                    rho, beta2, rms.get(i), alphas.get(i), updates.get(i), clippings.get(i)))
        .toList();
  }

  private static <T extends TNumber> List<Output<T>> scalars(
      Constants constants, Operand<T> stack, int count) {
    Ops tf = constants.ops();
    return tf.unstack(tf.reshape(stack, constants.shape(Shape.of(count))), (long) count).output();
  }
}
