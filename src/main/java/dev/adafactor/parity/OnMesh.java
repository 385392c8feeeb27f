package dev.adafactor.parity;

import dev.adafactor.Adafactor;
import dev.adafactor.ShardedGradient;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reduction;
import dev.adafactor.mesh.ShardedVariable;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * Sharded over a mesh, as {@link Layout#ofMatrices} says.
 *
 * @param reductions how sums over the shards are taken
 */
public record OnMesh(Mesh mesh, Reduction reductions) implements Holding {

  @Override
  public <T extends TNumber> Operand<? extends TType> declare(
      Ops tf, String name, Operand<T> initial) {
    return ShardedVariable.create(tf, name, Layout.ofMatrices(mesh, initial.shape()), initial);
  }

  @Override
  public <T extends TNumber> Operand<T> read(
      Ops tf, Operand<? extends TType> variable, Class<T> type) {
    return tf.identity(variable.asOutput().expect(type));
  }

  @Override
  @SuppressWarnings("unchecked") // Declared here; the gradient is of the variable's type.
  public <T extends TNumber> GradAndVar<? extends TType> pair(
      Operand<T> gradient, Operand<? extends TType> variable) {
    return ShardedGradient.ofWhole(gradient, (ShardedVariable<T>) variable);
  }

  @Override
  public Adafactor.Builder with(Adafactor.Builder builder) {
    return builder.mesh(mesh).reductions(reductions);
  }

  @Override
  public ConfigProto with(ConfigProto config) {
    return config.toBuilder().mergeFrom(mesh.config()).build();
  }
}
