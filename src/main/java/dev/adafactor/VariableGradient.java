package dev.adafactor;

import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * A pair of gradient and variable with more to it than two tensors: the gradient is not one tensor,
 * or the variable is sharded.
 */
final class VariableGradient<T extends TType> extends GradAndVar<T> {

  private final Operand<?> variable;
  private final Optional<IndexedSlices<?>> slices;
  private final Optional<ShardedGradient<?>> shards;

  private VariableGradient(
      Output<T> values,
      Operand<T> variable,
      Optional<IndexedSlices<?>> slices,
      Optional<ShardedGradient<?>> shards) {
    super(values, variable.asOutput());
    this.variable = variable;
    this.slices = slices;
    this.shards = shards;
  }

  /** A gradient of the variable's shape; null for none. */
  static <T extends TType> VariableGradient<T> dense(Operand<T> gradient, Operand<T> variable) {
    Output<T> values = gradient == null ? null : gradient.asOutput();
    return new VariableGradient<>(values, variable, Optional.empty(), Optional.empty());
  }

  /** Rows of a gradient. */
  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  static <T extends TNumber> VariableGradient<T> sparse(
      IndexedSlices<T> slices, Operand<?> variable) {
    return new VariableGradient<>(
        slices.values().asOutput(), (Operand<T>) variable, Optional.of(slices), Optional.empty());
  }

  /**
   * The gradients of shards.
   *
   * @param whole of which they are parts
   */
  static <T extends TNumber> VariableGradient<T> sharded(
      Operand<T> whole, ShardedGradient<T> shards, Operand<T> variable) {
    return new VariableGradient<>(
        whole.asOutput(), variable, Optional.empty(), Optional.of(shards));
  }

  /** The variable of a pair as it was given: its output, its handle, or a sharded one itself. */
  static Operand<?> variable(GradAndVar<?> pair) {
    return pair instanceof VariableGradient<?> gradient ? gradient.variable : pair.getVariable();
  }

  Optional<IndexedSlices<?>> slices() {
    return slices;
  }

  Optional<ShardedGradient<?>> shards() {
    return shards;
  }
}
