package dev.adafactor;

import dev.adafactor.graph.Constants;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** Passes over a gradient, or a stack of gradients, in one piece. */
final class WholePasses<T extends TNumber> implements Passes<T> {

  private final Constants constants;
  private final MatrixOperations matrices;
  private final Extent extent;
  private final Operand<T> g;
  private final Operand<T> square;
  private Operand<T> direction;

  /**
   * @param first for the operation that comes first
   * @param g with elements
   */
  WholePasses(
      Ops first, Constants constants, MatrixOperations matrices, Extent extent, Operand<T> g) {
    this.constants = constants;
    this.matrices = matrices;
    this.extent = extent;
    this.g = g;
    this.square = first.math.square(g);
  }

  @Override
  public SecondMoment<T> meanSquares() {
    Shape shape = g.shape();
    int rank = shape.numDimensions();
    if (rank - (extent == Extent.STACK ? 1 : 0) < 2) {
      return new SecondMoment.Full<>(square);
    }
    long rows = shape.get(rank - 2);
    return new SecondMoment.Factored<>(
        constants.ops().math.mean(square, constants.axes(-1)),
        matrices.columnSums(constants, square, 1.0 / rows));
  }

  @Override
  public Operand<T> updateMeanSquare(SecondMoment<T> inverseRoots) {
    direction =
        inverseRoots.reduce(
            (a, b) -> matrices.scaled(constants, g, a, b), v -> constants.ops().math.mul(g, v));
    return extent.meanSquare(constants.ops(), constants, direction);
  }

  /** u, whose mean square was asked for. */
  Operand<T> direction() {
    return direction;
  }
}
