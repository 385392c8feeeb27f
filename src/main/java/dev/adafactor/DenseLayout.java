package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/** A dense gradient in blocks of rows. */
final class DenseLayout<T extends TNumber> implements BlockPasses.Layout<T> {

  private final Constants constants;
  private final Ops tf;
  private final Shape shape;
  private final long rows;
  private final long columns;
  private final long matrices;
  private final FactoredShape factors;

  /** The gradient as a vector: a part of it is no copy where it is aligned. */
  private final Operand<T> elements;

  private final List<Part> parts = new ArrayList<>();

  /**
   * @param limit the number of elements of a block
   */
  DenseLayout(Constants constants, Operand<T> g, long limit) {
    this.constants = constants;
    this.tf = constants.ops();
    this.shape = g.shape();
    this.rows = shape.get(-2);
    this.columns = shape.get(-1);
    this.matrices = shape.size() / rows / columns;
    this.factors = FactoredShape.of(shape).orElseThrow();
    this.elements = tf.reshape(g, constants.shape(Shape.of(shape.size())));
    RowBlock.of(shape, limit).forEach(block -> parts.add(new Part(block)));
  }

  @Override
  public List<Part> blocks() {
    return parts;
  }

  @Override
  public SecondMoment<T> assembled(List<Operand<T>> rowMeans, List<Operand<T>> columnMeans) {
    List<Operand<T>> sums = new ArrayList<>();
    for (int i = 0; i < parts.size(); ) {
      int start = i;
      while (i < parts.size() && parts.get(i).block.matrix() == parts.get(start).block.matrix()) {
        i++;
      }
      List<Operand<T>> ofMatrix = columnMeans.subList(start, i);
      sums.add(ofMatrix.size() == 1 ? ofMatrix.get(0) : tf.math.addN(ofMatrix));
    }
    return new SecondMoment.Factored<>(joined(rowMeans, factors.r()), joined(sums, factors.c()));
  }

  /** Tensors one after the other, as one of a shape. */
  private Operand<T> joined(List<Operand<T>> tensors, Shape shape) {
    Operand<T> whole =
        tensors.size() == 1 ? tensors.get(0) : tf.concat(flattened(tensors), constants.integer(0));
    return shaped(tf, whole, shape);
  }

  private List<Operand<T>> flattened(List<Operand<T>> tensors) {
    return tensors.stream().map(x -> shaped(tf, x, Shape.of(x.shape().size()))).toList();
  }

  private Operand<T> shaped(Ops first, Operand<T> x, Shape wanted) {
    return x.shape().equals(wanted) ? x : first.reshape(x, constants.shape(wanted));
  }

  private Operand<T> part(Ops first, Operand<T> x, long start, Shape wanted) {
    Operand<T> vector = shaped(tf, x, Shape.of(x.shape().size()));
    Operand<T> part =
        first.slice(
            vector, constants.shape(Shape.of(start)), constants.shape(Shape.of(wanted.size())));
    return shaped(tf, part, wanted);
  }

  /** One of the blocks. */
  final class Part implements BlockPasses.Block<T> {
    private final RowBlock block;

    private Part(RowBlock block) {
      this.block = block;
    }

    private long firstRow() {
      return block.matrix() * rows + block.row();
    }

    /** The shape of what has some elements for each matrix. */
    private Shape each(long... elements) {
      Shape one = Shape.of(elements);
      return block.matrices() == 1 ? one : one.prepend(block.matrices());
    }

    @Override
    public long size() {
      return block.matrices() * block.rows() * columns;
    }

    @Override
    public Operand<T> values(Ops first) {
      return part(first, elements, firstRow() * columns, each(block.rows(), columns));
    }

    @Override
    public Operand<T> rowFactor(Ops first, Operand<T> a) {
      return part(first, a, firstRow(), each(block.rows()));
    }

    @Override
    public Operand<T> columnFactor(Operand<T> b) {
      return matrices == 1
          ? shaped(tf, b, Shape.of(columns))
          : part(tf, b, block.matrix() * columns, each(columns));
    }

    @Override
    public Op subtract(VariableView<T> variable, Operand<T> values) {
      int first = Math.toIntExact(firstRow());
      int count = Math.toIntExact(block.matrices() * block.rows());
      Operand<TInt32> range = constants.range(first, first + count);
      if (shape.numDimensions() == 2) {
        return variable.subtractRows(tf, range, values);
      }
      Operand<TInt32> dimensions = constants.ints(shape.take(shape.numDimensions() - 1));
      Operand<TInt32> indices =
          tf.linalg.transpose(tf.unravelIndex(range, dimensions), constants.axes(1, 0));
      return variable.subtractAt(tf, indices, shaped(tf, values, Shape.of(count, columns)));
    }
  }
}
