package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * Passes over the gradient of a variable of rank 2 and more block by block, so that temporary
 * tensors are no larger than a block: what was computed of a block is computed again where the next
 * pass needs it, unless there is a lane for each block.
 */
final class BlockPasses<T extends TNumber> implements Passes<T> {

  /** How a gradient is cut into blocks. */
  interface Layout<T extends TNumber> {

    List<? extends Block<T>> blocks();

    /**
     * Puts together what was computed of each block.
     *
     * @param rowMeans the means over the last axis
     * @param columnMeans the block's part in the means over the last but one axis
     */
    SecondMoment<T> assembled(List<Operand<T>> rowMeans, List<Operand<T>> columnMeans);
  }

  /** Rows of a gradient. */
  interface Block<T extends TNumber> {

    /** About how many elements it has. */
    long size();

    /**
     * The elements, of rank 2 or 3.
     *
     * @param first for the operation that comes first
     */
    Operand<T> values(Ops first);

    /**
     * The part of a row factor that belongs to these rows.
     *
     * @param first for the operation that comes first
     */
    Operand<T> rowFactor(Ops first, Operand<T> a);

    /** The part of a column factor that belongs to these rows. */
    Operand<T> columnFactor(Operand<T> b);

    /** Subtracts from these rows of the variable. */
    Op subtract(VariableView<T> variable, Operand<T> values);
  }

  private final Constants constants;
  private final MatrixOperations matrices;
  private final Lanes lanes;
  private final VariableView<T> variable;
  private final Layout<T> layout;

  /** u of each block, if no more than one is kept for each lane. */
  private final List<Operand<T>> kept = new ArrayList<>();

  /**
   * @param variable with elements
   */
  BlockPasses(
      Constants constants,
      MatrixOperations matrices,
      Lanes lanes,
      VariableView<T> variable,
      Layout<T> layout) {
    this.constants = constants;
    this.matrices = matrices;
    this.lanes = lanes;
    this.variable = variable;
    this.layout = layout;
  }

  @Override
  public SecondMoment<T> meanSquares() {
    List<Operand<T>> rowMeans = new ArrayList<>();
    List<Operand<T>> columnMeans = new ArrayList<>();
    double weight = 1.0 / variable.shape().get(-2);
    for (Block<T> block : layout.blocks()) {
      Lanes.Lane lane = lanes.next(block.size());
      Operand<T> square = constants.ops().math.square(block.values(lane.begin(List.of())));
      Operand<T> rows = constants.ops().math.mean(square, constants.axes(-1));
      Operand<T> columns = matrices.columnSums(constants, square, weight);
      lane.end(rows, columns);
      rowMeans.add(rows);
      columnMeans.add(columns);
    }
    return layout.assembled(rowMeans, columnMeans);
  }

  @Override
  public Operand<T> updateMeanSquare(SecondMoment<T> inverseRoots) {
    Ops tf = constants.ops();
    List<Operand<T>> halfSquares = new ArrayList<>();
    for (Block<T> block : layout.blocks()) {
      Lanes.Lane lane = lanes.next(block.size());
      Operand<T> direction = direction(block, lane.begin(List.of()), inverseRoots);
      Operand<T> halfSquare = tf.nn.l2Loss(direction);
      lane.end(halfSquare);
      halfSquares.add(halfSquare);
      if (layout.blocks().size() <= lanes.count()) {
        kept.add(direction);
      }
    }
    Operand<T> share = constants.number(variable.type(), 2.0 / variable.shape().size());
    return tf.math.mul(tf.math.addN(halfSquares), share);
  }

  /** Adds the write of the variable, {@code w - rate * u}. */
  Op write(Operand<T> rate, SecondMoment<T> inverseRoots) {
    Ops tf = constants.ops();
    SecondMoment<T> scaled = inverseRoots.map(a -> tf.math.mul(a, rate), b -> b, v -> v);
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < layout.blocks().size(); i++) {
      Block<T> block = layout.blocks().get(i);
      Lanes.Lane lane = lanes.next(block.size());
      Ops first = lane.begin(List.of());
      Operand<T> update =
          kept.isEmpty() ? direction(block, first, scaled) : first.math.mul(kept.get(i), rate);
      Op write = block.subtract(variable, update);
      lane.end(write);
      writes.add(write);
    }
    return variable.afterRows(tf, writes);
  }

  private Operand<T> direction(Block<T> block, Ops first, SecondMoment<T> factors) {
    return factors.reduce(
        (a, b) ->
            matrices.scaled(
                constants, block.values(first), block.rowFactor(first, a), block.columnFactor(b)),
        v -> v);
  }
}
