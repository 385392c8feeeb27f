package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Snapshots;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.mesh.Sharding;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** Cuts the gradient of a whole variable into those of its shards, on the device where it is. */
final class GradientCut {

  private final Constants there;
  private final Ops tf;
  private final VariableInShards variable;
  private final Sharding sharding;
  private final RowCheck check;

  /**
   * @param device where the gradient is
   */
  GradientCut(Placement placement, String device, VariableInShards variable) {
    this.there = placement.on(device);
    this.tf = there.ops();
    this.variable = variable;
    this.sharding = variable.variable().sharding();
    this.check = new RowCheck(placement, device, variable.name(), sharding.shape());
  }

  /**
   * Adds the operations.
   *
   * @param values of the variable's shape, or rows of it
   * @param indices which rows; null for all
   * @return the gradients of the variable's parts
   * @throws IllegalArgumentException if it has the wrong shape or type
   */
  List<Gradient> cut(Output<?> values, Operand<? extends TNumber> indices) {
    ShardedVariable<?> whole = variable.variable();
    Gradient.require(whole.name(), whole.type(), sharding.shape(), values, indices);
    Shape expected = Gradient.expected(whole.name(), sharding.shape(), indices);
    Operand<? extends TNumber> known =
        Gradient.ofShape(tf, number(Snapshots.of(tf, values)), expected);
    return indices == null
        ? variable.gradients(sharding.cut(tf, known))
        : sparse(known, check.indices(known, indices));
  }

  private <T extends TNumber, I extends TNumber> List<Gradient> sparse(
      Operand<T> values, Operand<I> indices) {
    List<VariableView<?>> parts = variable.parts();
    List<Layout.Shard> shards = sharding.layout().shards();
    List<Gradient> gradients = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Operand<T> columns = columns(values, shards.get(i));
      gradients.add(
          sharding.layout().numShards(0) == 1
              ? new Gradient(parts.get(i), columns.asOutput(), indices)
              : rows(parts.get(i), shards.get(i), columns, indices));
    }
    return gradients;
  }

  /** The part of each of the rows that belongs to a shard. */
  private <T extends TNumber> Operand<T> columns(Operand<T> values, Layout.Shard shard) {
    Shape local = sharding.localShape();
    if (local.tail().equals(sharding.shape().tail())) {
      return values;
    }
    long[] begin = new long[local.numDimensions()];
    long[] size = local.asArray();
    for (int axis = 1; axis < begin.length; axis++) {
      begin[axis] = sharding.offset(shard, axis);
    }
    size[0] = -1;
    Operand<TInt64> sizes = tf.constant(size);
    return tf.slice(values, tf.constant(begin), sizes);
  }

  /**
   * The rows of a shard. The others have value 0 and index -1, which counts nowhere, as any that is
   * negative.
   */
  private <T extends TNumber, I extends TNumber> Gradient rows(
      VariableView<?> part, Layout.Shard shard, Operand<T> values, Operand<I> indices) {
    Class<I> type = indices.type();
    Operand<I> local = tf.math.sub(indices, there.number(type, (double) sharding.offset(shard, 0)));
    List<Operand<TBool>> inside = new ArrayList<>();
    int place = shard.coordinates().get(0);
    if (place > 0) {
      inside.add(tf.math.greaterEqual(local, there.number(type, 0)));
    }
    if (place < sharding.layout().numShards(0) - 1) {
      inside.add(tf.math.less(local, there.number(type, (double) sharding.localShape().get(0))));
    }
    Operand<TBool> own =
        inside.size() == 1 ? inside.get(0) : tf.math.logicalAnd(inside.get(0), inside.get(1));
    Operand<TBool> ownRows = own;
    for (int axis = 1; axis < sharding.shape().numDimensions(); axis++) {
      ownRows = tf.expandDims(ownRows, there.axes(-1));
    }
    return new Gradient(
        part,
        tf.select(ownRows, values, there.number(values.type(), 0)).asOutput(),
        tf.select(own, local, there.number(type, -1)));
  }

  @SuppressWarnings("unchecked") // Its type is that of the variable.
  private static Operand<? extends TNumber> number(Output<?> values) {
    return (Operand<? extends TNumber>) values;
  }
}
