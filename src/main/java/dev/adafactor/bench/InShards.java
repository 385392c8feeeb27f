package dev.adafactor.bench;

import dev.adafactor.ShardedGradient;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.parity.OnMesh;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * On the devices of a mesh, each part of a gradient beside the part of the variable that is worked
 * on.
 */
record InShards(OnMesh holding) implements Keeping {

  @Override
  public <T extends TNumber> Kept<T> variable(Ops tf, String name, Operand<T> initial) {
    Layout layout = Layout.ofMatrices(holding.mesh(), initial.shape());
    // The initializers of all variables run at once: they shall not take the memory of more.
    ShardedVariable<T> variable =
        ShardedVariable.create(
            tf,
            name,
            layout,
            initial.shape(),
            (there, offset, part) -> there.zeros(there.constant(part.asArray()), initial.type()));
    return new Kept<>(variable, variable, List.of(variable.assign(tf, initial)));
  }

  @Override
  public <T extends TNumber> KeptGradient gradient(
      Ops tf, String name, Operand<T> initial, Kept<T> variable) {
    ShardedVariable<T> sharded = (ShardedVariable<T>) variable.value();
    List<Operand<T>> parts = sharded.sharding().cut(tf, initial);
    List<Operand<T>> gradients = new ArrayList<>();
    List<Op> assignments = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Ops there = tf.withDevice(holding.mesh().device(sharded.layout().shards().get(i).owner()));
      Kept<T> part = InOnePiece.resource(there, name + "_" + i, parts.get(i));
      gradients.add(part.value());
      assignments.addAll(part.assignments());
    }
    return new KeptGradient(new ShardedGradient<>(gradients).of(sharded), assignments);
  }
}
