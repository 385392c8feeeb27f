package dev.adafactor;

import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * A sparse gradient: rows of a variable, as {@code tf.IndexedSlices}. Rows that are not named have
 * gradient zero; a row that is named several times has the sum of its values.
 *
 * <p>{@link Adafactor#computeGradients} gives such gradients of variables that a loss only gathers
 * rows of, as embeddings. To look at one, or to change it:
 *
 * <pre>{@code
 * IndexedSlices.from(pair).ifPresent(slices -> {
 *   slices.values();                            // [k, …], as pair.getGradient()
 *   slices.indices();                           // [k]
 *   tf.math.unsortedSegmentSum(slices.values(), slices.indices(), tf.constant(rows));  // dense
 * });
 * new IndexedSlices<>(changed, slices.indices()).of(pair.getVariable());
 * }</pre>
 *
 * @param values of shape {@code [k] + variable.shape[1:]}, of the variable's type
 * @param indices of shape {@code [k]}, int32 or int64: the row of each value; those below 0 count
 *     nowhere, and with one beyond the rows a step fails before it changes anything
 */
public record IndexedSlices<T extends TNumber>(
    Operand<T> values, Operand<? extends TNumber> indices) {

  /**
   * The pair for {@link Adafactor#applyGradients}. Only there it is known to be sparse: its {@code
   * getGradient()} are the values alone.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link dev.adafactor.mesh.ShardedVariable}, of whose whole the rows are
   */
  public GradAndVar<? extends TType> of(Operand<? extends TType> variable) {
    return VariableGradient.sparse(this, variable);
  }

  /**
   * The sparse gradient of a pair that {@link #of} or {@link Adafactor#computeGradients} made;
   * empty if the gradient is dense, or there is none.
   */
  public static Optional<IndexedSlices<?>> from(GradAndVar<?> pair) {
    return pair instanceof VariableGradient<?> gradient ? gradient.slices() : Optional.empty();
  }
}
