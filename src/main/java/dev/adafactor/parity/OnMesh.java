package dev.adafactor.parity;

import dev.adafactor.Adafactor;
import dev.adafactor.ShardedGradient;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * Sharded over a mesh: the last but one axis over its dimension x, the last over y, the only one
 * over x. Where a size does not divide, and over other dimensions, shards are replicated.
 */
public record OnMesh(Mesh mesh) implements Holding {

  private static final String ROWS = "x";
  private static final String COLUMNS = "y";

  Layout layout(Shape shape) {
    int rank = shape.numDimensions();
    List<String> specs = new ArrayList<>(Collections.nCopies(rank, Layout.UNSHARDED));
    if (rank == 1) {
      cut(specs, shape, 0, ROWS);
    } else if (rank > 1) {
      cut(specs, shape, rank - 2, ROWS);
      cut(specs, shape, rank - 1, COLUMNS);
    }
    return new Layout(mesh, specs);
  }

  private void cut(List<String> specs, Shape shape, int axis, String dimension) {
    if (mesh.containsDim(dimension) && shape.get(axis) % mesh.dimSize(dimension) == 0) {
      specs.set(axis, dimension);
    }
  }

  @Override
  public <T extends TNumber> Operand<? extends TType> declare(
      Ops tf, String name, Operand<T> initial) {
    return ShardedVariable.create(tf, name, layout(initial.shape()), initial);
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
    return builder.mesh(mesh);
  }

  @Override
  public ConfigProto with(ConfigProto config) {
    return config.toBuilder().mergeFrom(mesh.config()).build();
  }
}
