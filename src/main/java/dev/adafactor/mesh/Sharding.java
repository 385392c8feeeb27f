package dev.adafactor.mesh;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TType;

/**
 * A layout of tensors of one shape, and the operations that cut them and put them together. All
 * shards are of one shape.
 *
 * @param shape of the whole
 */
public record Sharding(Layout layout, Shape shape) {

  /**
   * @throws IllegalArgumentException if the layout is for another rank, or an axis cannot be cut
   *     into equal parts
   */
  public Sharding {
    if (shape.isUnknown()) {
      throw new IllegalArgumentException("its shape is unknown, and must be known to be cut");
    }
    if (shape.hasUnknownDimension()) {
      throw new IllegalArgumentException(
          "shape %s is not fully known, as it must be to be cut".formatted(shape));
    }
    if (layout.rank() != shape.numDimensions()) {
      throw new IllegalArgumentException(
          "the layout %s is for rank %d, but shape %s has rank %d"
              .formatted(layout, layout.rank(), shape, shape.numDimensions()));
    }
    for (int axis = 0; axis < layout.rank(); axis++) {
      if (shape.get(axis) % layout.numShards(axis) != 0) {
        throw new IllegalArgumentException(
            ("axis %d of shape %s has size %d, which mesh dimension '%s' of size %d does not"
                    + " divide; shards are of one size, so leave the axis UNSHARDED or pad it")
                .formatted(
                    axis,
                    shape,
                    shape.get(axis),
                    layout.shardingSpecs().get(axis),
                    layout.numShards(axis)));
      }
    }
  }

  /** The shape of each shard. */
  public Shape localShape() {
    long[] local = shape.asArray();
    for (int axis = 0; axis < local.length; axis++) {
      local[axis] /= layout.numShards(axis);
    }
    return Shape.of(local);
  }

  /** Where along an axis a shard begins. */
  public long offset(Layout.Shard shard, int axis) {
    return shard.coordinates().get(axis) * localShape().get(axis);
  }

  /** Where a shard begins, along each axis. */
  List<Long> offset(Layout.Shard shard) {
    return IntStream.range(0, layout.rank()).mapToObj(axis -> offset(shard, axis)).toList();
  }

  /** The sharding of what has one value for each line along an axis. */
  public Sharding without(int axis) {
    Shape rest = shape.take(axis).append(shape.takeLast(shape.numDimensions() - axis - 1));
    return new Sharding(layout.without(axis), rest);
  }

  /**
   * Adds the operations that cut a tensor.
   *
   * @param whole of the whole's shape; what only a run shows to be of another fails there
   * @return in the order of {@link Layout#shards}
   * @throws IllegalArgumentException if it is of another shape
   */
  public <T extends TType> List<Operand<T>> cut(Ops tf, Operand<T> whole) {
    Operand<T> known = known(tf, whole);
    List<Layout.Shard> shards = layout.shards();
    if (shards.size() == 1) {
      return List.of(known);
    }
    Operand<TInt64> size = tf.constant(localShape().asArray());
    List<Operand<T>> parts = new ArrayList<>();
    for (Layout.Shard shard : shards) {
      long[] begin = new long[layout.rank()];
      Arrays.setAll(begin, axis -> offset(shard, axis));
      parts.add(tf.slice(known, tf.constant(begin), size));
    }
    return parts;
  }

  /** A slice of what is larger would be taken without a word. */
  private <T extends TType> Operand<T> known(Ops tf, Operand<T> whole) {
    if (!whole.shape().isCompatibleWith(shape)) {
      throw new IllegalArgumentException(
          "a tensor of shape %s is given, it must be of shape %s".formatted(whole.shape(), shape));
    }
    return whole.shape().equals(shape) ? whole : tf.ensureShape(whole, shape);
  }

  /**
   * Adds the operations that put a tensor together.
   *
   * @param parts in the order of {@link Layout#shards}
   */
  public <T extends TType> Operand<T> join(Ops tf, List<? extends Operand<T>> parts) {
    List<Operand<T>> joined = new ArrayList<>(parts);
    for (int axis = layout.rank() - 1; axis >= 0; axis--) {
      int each = layout.numShards(axis);
      if (each > 1) {
        List<Operand<T>> longer = new ArrayList<>();
        for (int i = 0; i < joined.size(); i += each) {
          longer.add(tf.concat(joined.subList(i, i + each), tf.constant(axis)));
        }
        joined = longer;
      }
    }
    return joined.get(0);
  }

  /**
   * Adds the operations that put a tensor together from variables on the devices.
   *
   * @param tf of the scope where it is needed
   * @param shards a variable on each device of the mesh; the owner of each shard is read
   */
  <T extends TType> Operand<T> read(Ops tf, List<Variable<T>> shards) {
    List<Operand<T>> parts = new ArrayList<>();
    for (Layout.Shard shard : layout.shards()) {
      // A value, in place of a reference: some gradients cannot be computed by references.
      parts.add(on(tf, shard.owner()).identity(shards.get(shard.owner())));
    }
    return join(tf, parts);
  }

  /**
   * Adds the operations that set variables on the devices.
   *
   * @param shards a variable on each device of the mesh; all replicas are set
   * @param parts in the order of {@link Layout#shards}
   * @return the writes
   */
  <T extends TType> List<Op> assign(
      Ops tf, List<Variable<T>> shards, List<? extends Operand<T>> parts) {
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      for (int device : layout.shards().get(i).devices()) {
        writes.add(on(tf, device).assign(shards.get(device), parts.get(i)));
      }
    }
    return writes;
  }

  private Ops on(Ops tf, int device) {
    return tf.withDevice(layout.mesh().device(device));
  }
}
