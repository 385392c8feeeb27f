package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * The operations that pass over a matrix, or over each one of several, the last two axes of a
 * tensor, where there is a choice of them.
 */
enum MatrixOperations {
  /** As products of matrices: TensorFlow's CPU kernels for them are several times faster. */
  PRODUCTS {
    @Override
    <T extends TNumber> Operand<T> columnSums(Constants constants, Operand<T> x, double weight) {
      Operand<T> sums = product(constants, weights(constants, x, weight), x);
      return constants.ops().reshape(sums, constants.shape(withoutRows(x.shape())));
    }

    /** For each row, of shape [1, rows]. */
    private <T extends TNumber> Operand<T> weights(
        Constants constants, Operand<T> x, double weight) {
      long rows = x.shape().get(-2);
      if (rows != Shape.UNKNOWN_SIZE) {
        return constants.filled(x.type(), Shape.of(1, rows), weight);
      }
      Ops tf = constants.ops();
      Operand<TInt32> count =
          tf.gather(
              tf.shape(x), constants.integer(x.shape().numDimensions() - 2), constants.integer(0));
      return tf.fill(
          tf.stack(List.of(constants.integer(1), count)), constants.number(x.type(), weight));
    }

    @Override
    <T extends TNumber> Operand<T> scaled(
        Constants constants, Operand<T> x, Operand<T> a, Operand<T> b) {
      Ops tf = constants.ops();
      Operand<T> column = tf.expandDims(a, constants.axes(-1));
      Operand<T> row = tf.expandDims(b, constants.axes(-2));
      return tf.math.mul(x, product(constants, column, row));
    }
  },

  /** As reductions and broadcasts: XLA fuses them, and no GPU rounds them to tf32. */
  BROADCASTS {
    @Override
    <T extends TNumber> Operand<T> columnSums(Constants constants, Operand<T> x, double weight) {
      Ops tf = constants.ops();
      return tf.math.mul(tf.reduceSum(x, constants.axes(-2)), constants.number(x.type(), weight));
    }

    @Override
    <T extends TNumber> Operand<T> scaled(
        Constants constants, Operand<T> x, Operand<T> a, Operand<T> b) {
      Ops tf = constants.ops();
      return tf.math.mul(
          tf.math.mul(x, tf.expandDims(a, constants.axes(-1))),
          tf.expandDims(b, constants.axes(-2)));
    }
  };

  /**
   * The sums over the last but one axis.
   *
   * @param weight with which each row counts
   */
  abstract <T extends TNumber> Operand<T> columnSums(
      Constants constants, Operand<T> x, double weight);

  /** x times a along the rows and b along the columns. */
  abstract <T extends TNumber> Operand<T> scaled(
      Constants constants, Operand<T> x, Operand<T> a, Operand<T> b);

  /** The products of the matrices; where there is one, by the faster kernel for just one. */
  private static <T extends TNumber> Operand<T> product(
      Constants constants, Operand<T> x, Operand<T> y) {
    Ops tf = constants.ops();
    Shape longer = x.shape().numDimensions() > y.shape().numDimensions() ? x.shape() : y.shape();
    Shape leading = longer.take(longer.numDimensions() - 2);
    if (leading.size() != 1) {
      return tf.train.batchMatMul(x, y, x.type());
    }
    Operand<T> product = tf.linalg.matMul(matrix(constants, x), matrix(constants, y));
    return leading.numDimensions() == 0
        ? product
        : tf.reshape(product, constants.shape(leading.append(product.shape())));
  }

  private static <T extends TNumber> Operand<T> matrix(Constants constants, Operand<T> x) {
    Shape shape = x.shape();
    int rank = shape.numDimensions();
    return rank == 2 ? x : constants.ops().reshape(x, constants.shape(shape.takeLast(2)));
  }

  private static Shape withoutRows(Shape shape) {
    int rank = shape.numDimensions();
    return shape.take(rank - 2).append(shape.get(rank - 1));
  }
}
