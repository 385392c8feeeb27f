package dev.adafactor;

import dev.adafactor.graph.VariableView;
import java.util.List;
import org.tensorflow.Operand;
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
    return indices == null ? values : dense(first, values);
  }

  private <C extends TNumber> Operand<C> dense(Ops first, Operand<C> rows) {
    int count = Math.toIntExact(variable.shape().get(0));
    return first.ensureShape(
        first.math.unsortedSegmentSum(rows, indices, first.constant(count)), variable.shape());
  }
}
