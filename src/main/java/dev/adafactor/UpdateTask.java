package dev.adafactor;

import dev.adafactor.graph.VariableView;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * The update of a variable that a step has to do.
 *
 * @param values the gradient, clipped, of the type of the computation; of the variable's shape, or
 *     rows of it
 * @param indices which rows; null for all
 * @param before what the variable's value must come after
 */
record UpdateTask(
    VariableView<?> variable,
    VariableState state,
    Operand<? extends TNumber> values,
    Operand<? extends TNumber> indices,
    List<Op> before) {

  /**
   * The gradient as a tensor of the variable's shape; rows that are named twice are added up.
   *
   * @param first for the operation that comes first
   */
  Operand<? extends TNumber> gradient(Ops first) {
    return indices == null ? values : dense(first, variable.shape(), values, indices);
  }

  /** Rows as a tensor of a shape, those that are named twice added up. */
  static <C extends TNumber> Operand<C> dense(
      Ops tf, Shape shape, Operand<C> rows, Operand<? extends TNumber> indices) {
    int count = Math.toIntExact(shape.get(0));
    return tf.ensureShape(tf.math.unsortedSegmentSum(rows, indices, tf.constant(count)), shape);
  }
}
