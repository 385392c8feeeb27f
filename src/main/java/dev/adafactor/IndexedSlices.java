package dev.adafactor;

import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * A sparse gradient: rows of a variable, as {@code tf.IndexedSlices}. Rows that are not named have
 * gradient zero; a row that is named several times has the sum of its values.
 *
 * @param values of shape {@code [k] + variable.shape[1:]}, of the variable's type
 * @param indices of shape {@code [k]}, int32 or int64: the row of each value
 */
public record IndexedSlices<T extends TNumber>(
    Operand<T> values, Operand<? extends TNumber> indices) {

  /**
   * The pair for {@link Adafactor#applyGradients}.
   *
   * @param variable the output of a {@code VariableV2} or the handle of a {@code VarHandleOp}
   */
  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  public GradAndVar<? extends TType> of(Operand<? extends TType> variable) {
    return new Pair<>(values.asOutput(), (Output<T>) variable.asOutput(), indices);
  }

  /** The indices of a pair made by {@link #of}, or null for a dense gradient. */
  static Operand<? extends TNumber> indicesOf(GradAndVar<?> pair) {
    return pair instanceof Pair<?> sparse ? sparse.indices : null;
  }

  private static final class Pair<T extends TType> extends GradAndVar<T> {
    private final Operand<? extends TNumber> indices;

    Pair(Output<T> values, Output<T> variable, Operand<? extends TNumber> indices) {
      super(values, variable);
      this.indices = indices;
    }
  }
}
