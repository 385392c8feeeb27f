package dev.adafactor;

import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.ShardedVariable;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * The gradient of a sharded variable, in parts, as {@link Adafactor#computeGradients} gives it:
 * what the loss follows from by the replicas of a shard is added up.
 *
 * @param shards of each shard the gradient, of its shape and the variable's type, in the order of
 *     {@link Layout#shards}
 */
public record ShardedGradient<T extends TNumber>(List<Operand<T>> shards) {

  public ShardedGradient {
    shards = List.copyOf(shards);
  }

  /**
   * The pair for {@link Adafactor#applyGradients}. Only there it is known to be in parts: its
   * {@code getGradient()} is the whole, put together on the mesh's first device.
   *
   * @throws IllegalArgumentException if the variable has another number of shards
   */
  public GradAndVar<T> of(ShardedVariable<T> variable) {
    int wanted = variable.layout().shards().size();
    if (shards.size() != wanted) {
      throw new IllegalArgumentException(
          "variable '%s' has %d shards, but gradients of %d are given"
              .formatted(variable.name(), wanted, shards.size()));
    }
    Ops tf = Ops.create(variable.asOutput().op().env());
    Operand<T> whole =
        variable.sharding().join(tf.withDevice(variable.layout().mesh().device(0)), shards);
    return VariableGradient.sharded(whole, this, variable);
  }

  /**
   * The pair for {@link Adafactor#applyGradients} of a gradient that is not in parts; it is cut on
   * the device where it is. (For a sparse one there is {@link IndexedSlices#of}.)
   *
   * @param gradient of the variable's shape; null for none
   */
  public static <T extends TNumber> GradAndVar<T> ofWhole(
      Operand<T> gradient, ShardedVariable<T> variable) {
    return VariableGradient.dense(gradient, variable);
  }

  /** The parts of the gradient of a pair; empty if it is not in parts, or there is none. */
  public static Optional<ShardedGradient<?>> from(GradAndVar<?> pair) {
    return pair instanceof VariableGradient<?> gradient ? gradient.shards() : Optional.empty();
  }
}
