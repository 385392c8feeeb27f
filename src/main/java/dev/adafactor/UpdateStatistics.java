package dev.adafactor;

import org.tensorflow.Operand;
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
    Operand<T> clipping) {}
