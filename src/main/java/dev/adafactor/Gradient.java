package dev.adafactor;

import dev.adafactor.graph.VariableView;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/**
 * The gradient of a variable.
 *
 * @param values null for none; of the variable's shape, or rows of it
 * @param indices which rows; null for all
 */
record Gradient(VariableView<?> variable, Output<?> values, Operand<? extends TNumber> indices) {

  /**
   * @throws IllegalArgumentException if the gradient does not have the variable's type and shape
   */
  Gradient {
    if (values != null) {
      requireType(variable, values);
      Shape expected = expected(variable, indices);
      if (!values.shape().isCompatibleWith(expected)) {
        throw new IllegalArgumentException(
            "the gradient of variable '"
                + variable.name()
                + "' has shape "
                + values.shape()
                + ", it must be "
                + expected);
      }
    }
  }

  private static void requireType(VariableView<?> variable, Output<?> values) {
    if (!values.type().equals(variable.type())) {
      throw new IllegalArgumentException(
          "the gradient of variable '"
              + variable.name()
              + "' is of type "
              + values.dataType()
              + ", it must be "
              + variable.dataType());
    }
  }

  /** The shape that the values must have. */
  private static Shape expected(VariableView<?> variable, Operand<? extends TNumber> indices) {
    return indices == null ? variable.shape() : requireRows(variable, indices);
  }

  /** The shape that the values of a sparse gradient must have. */
  private static Shape requireRows(VariableView<?> variable, Operand<? extends TNumber> indices) {
    DataType type = indices.asOutput().dataType();
    if (type != DataType.DT_INT32 && type != DataType.DT_INT64) {
      throw new IllegalArgumentException(
          "the indices of the sparse gradient of variable '"
              + variable.name()
              + "' are of type "
              + type
              + ", they must be DT_INT32 or DT_INT64");
    }
    if (variable.shape().numDimensions() == 0) {
      throw new IllegalArgumentException(
          "variable '" + variable.name() + "' is a scalar: its gradient cannot be sparse");
    }
    if (!indices.shape().isCompatibleWith(Shape.of(Shape.UNKNOWN_SIZE))) {
      throw new IllegalArgumentException(
          "the indices of the sparse gradient of variable '"
              + variable.name()
              + "' have shape "
              + indices.shape()
              + ", they must have one dimension");
    }
    long rows = indices.shape().isUnknown() ? Shape.UNKNOWN_SIZE : indices.shape().get(0);
    return variable.shape().tail().prepend(rows);
  }

  boolean isPresent() {
    return values != null;
  }

  /** The values, dense or not, in another type. */
  @SuppressWarnings("unchecked") // Of the variable's type, which is numeric.
  Operand<? extends TNumber> values(Ops ops, Class<? extends TNumber> type) {
    Operand<? extends TNumber> known = (Output<? extends TNumber>) values;
    Shape expected = expected(variable, indices);
    if (!values.shape().equals(expected)) {
      // Not wholly known when the graph was built, as for a gather.
      known = ops.ensureShape(known, expected);
    }
    return WholeUpdateStep.cast(ops, known, type);
  }

  /** The indices, as a vector; null for a dense gradient. */
  Operand<? extends TNumber> indices(Ops ops) {
    return indices == null || !indices.shape().isUnknown()
        ? indices
        : ops.ensureShape(indices, Shape.of(Shape.UNKNOWN_SIZE));
  }
}
