package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Unique;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * The rows of a matrix that a sparse gradient names, each once: work for those, and for the row
 * factor, that decays everywhere.
 *
 * @param <I> the type of the indices
 */
final class SparseLayout<T extends TNumber, I extends TNumber> implements BlockPasses.Layout<T> {

  private final Constants constants;
  private final Ops tf;
  private final Shape shape;

  /** The rows that have a gradient, of shape [count]. */
  private final Operand<I> rows;

  /** Their gradients, of shape [count, columns]. */
  private final Operand<T> sums;

  private final Operand<TInt32> count;
  private final List<Part> parts = new ArrayList<>();

  /**
   * Adds up the gradients of rows that are named twice.
   *
   * @param shape of the variable, a matrix
   * @param values gradients of rows
   * @param indices which rows; negative ones do not count
   * @param limit the number of elements of a block
   */
  SparseLayout(
      Constants constants,
      Lanes.Lane lane,
      Shape shape,
      Operand<T> values,
      Operand<I> indices,
      long limit) {
    this.constants = constants;
    this.tf = constants.ops();
    this.shape = shape;
    Operand<I> zero = constants.number(indices.type(), 0);
    // A negative index stands for row 0, to which it adds nothing.
    Unique<I, TInt32> unique =
        tf.unique(lane.begin(List.of()).math.maximum(indices, zero), constants.axes(0));
    Operand<TInt32> segments =
        tf.select(tf.math.less(indices, zero), constants.integer(-1), unique.idx());
    this.rows = unique.y();
    this.count = tf.size(rows);
    this.sums = tf.math.unsortedSegmentSum(values, segments, count);
    lane.end(sums);
    long most = Math.max(1, values.shape().get(0));
    List<RowBlock> blocks = RowBlock.of(Shape.of(most, shape.get(1)), limit);
    if (blocks.size() == 1) {
      parts.add(new Part(most, rows, null, count));
    } else {
      blocks.forEach(this::cut);
    }
  }

  /** Adds a block; where rows were named twice, the last ones have fewer or none. */
  private void cut(RowBlock block) {
    Operand<TInt32> begin = tf.math.minimum(constants.integer(Math.toIntExact(block.row())), count);
    Operand<TInt32> length =
        tf.math.minimum(
            constants.integer(Math.toIntExact(block.rows())), tf.math.sub(count, begin));
    Operand<I> indices =
        tf.slice(
            rows,
            tf.expandDims(begin, constants.axes(0)),
            tf.expandDims(length, constants.axes(0)));
    parts.add(new Part(block.rows(), indices, begin, length));
  }

  @Override
  public List<Part> blocks() {
    return parts;
  }

  @Override
  public SecondMoment<T> assembled(List<Operand<T>> rowMeans, List<Operand<T>> columnMeans) {
    Operand<T> touched =
        rowMeans.size() == 1 ? rowMeans.get(0) : tf.concat(rowMeans, constants.integer(0));
    Operand<T> all =
        tf.math.unsortedSegmentSum(touched, rows, constants.integer(Math.toIntExact(shape.get(0))));
    return new SecondMoment.Factored<>(
        tf.ensureShape(all, shape.take(1)), tf.math.addN(columnMeans));
  }

  /** One of the blocks. */
  final class Part implements BlockPasses.Block<T> {
    private final long size;
    private final Operand<I> indices;
    private final Operand<TInt32> begin;
    private final Operand<TInt32> length;

    /**
     * @param begin null for the only block
     */
    private Part(long most, Operand<I> indices, Operand<TInt32> begin, Operand<TInt32> length) {
      this.size = most * shape.get(1);
      this.indices = indices;
      this.begin = begin;
      this.length = length;
    }

    @Override
    public long size() {
      return size;
    }

    @Override
    public Operand<T> values(Ops first) {
      if (begin == null) {
        return first.identity(sums);
      }
      Operand<TInt32> columns = constants.integer(Math.toIntExact(shape.get(1)));
      Operand<TInt32> none = constants.integer(0);
      return tf.ensureShape(
          first.slice(sums, tf.stack(List.of(begin, none)), tf.stack(List.of(length, columns))),
          Shape.of(Shape.UNKNOWN_SIZE, shape.get(1)));
    }

    @Override
    public Operand<T> rowFactor(Ops first, Operand<T> a) {
      return first.gather(a, indices, constants.integer(0));
    }

    @Override
    public Operand<T> columnFactor(Operand<T> b) {
      return b;
    }

    @Override
    public Op subtract(VariableView<T> variable, Operand<T> values) {
      return variable.subtractRows(tf, indices, values);
    }
  }
}
