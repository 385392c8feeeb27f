package dev.adafactor;

import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The gradient of a variable in one piece, or of a shard.
 *
 * @param values of the variable's shape, or rows of it
 * @param indices which rows; null for all
 */
record Gradient(VariableView<?> variable, Output<?> values, Operand<? extends TNumber> indices) {

  /**
   * @throws IllegalArgumentException if the gradient does not have the variable's type and shape
   */
  Gradient {
    require(variable.name(), variable.type(), variable.shape(), values, indices);
  }

  /**
   * Checks what is given as the gradient of a variable.
   *
   * @param indices null for a dense one
   * @throws IllegalArgumentException if it does not have the variable's type and shape
   */
  static void require(
      String name,
      Class<? extends TNumber> type,
      Shape shape,
      Output<?> values,
      Operand<? extends TNumber> indices) {
    if (!values.type().equals(type)) {
      throw new IllegalArgumentException(
          "the gradient of variable '%s' is of type %s, it must be %s"
              .formatted(name, values.dataType(), VariableView.dataType(type)));
    }
    Shape expected = expected(name, shape, indices);
    if (!values.shape().isCompatibleWith(expected)) {
      throw new IllegalArgumentException(
          "the gradient of variable '%s' has shape %s, it must be %s"
              .formatted(name, values.shape(), expected));
    }
  }

  /** The shape that the values must have. */
  static Shape expected(String name, Shape shape, Operand<? extends TNumber> indices) {
    return indices == null ? shape : requireRows(name, shape, indices);
  }

  /** The shape that the values of a sparse gradient must have. */
  private static Shape requireRows(String name, Shape shape, Operand<? extends TNumber> indices) {
    DataType type = indices.asOutput().dataType();
    if (type != DataType.DT_INT32 && type != DataType.DT_INT64) {
      throw new IllegalArgumentException(
          ("the indices of the sparse gradient of variable '%s' are of type %s, they must be"
                  + " DT_INT32 or DT_INT64")
              .formatted(name, type));
    }
    if (shape.numDimensions() == 0) {
      throw new IllegalArgumentException(
          "variable '%s' is a scalar: its gradient cannot be sparse".formatted(name));
    }
    if (!indices.shape().isCompatibleWith(Shape.of(Shape.UNKNOWN_SIZE))) {
      throw new IllegalArgumentException(
          ("the indices of the sparse gradient of variable '%s' have shape %s, they must have one"
                  + " dimension")
              .formatted(name, indices.shape()));
    }
    long rows = indices.shape().isUnknown() ? Shape.UNKNOWN_SIZE : indices.shape().get(0);
    return shape.tail().prepend(rows);
  }

  /** All that it consists of. */
  List<Operand<?>> tensors() {
    return indices == null ? List.of(values) : List.of(values, indices);
  }

  /**
   * Adds what only a run can check: a step whose gradient is wrong fails before it writes anything.
   *
   * @throws IllegalArgumentException if the gradient does not have the variable's type and shape
   */
  static Gradient checked(
      Placement placement,
      VariableView<?> variable,
      Output<?> values,
      Operand<? extends TNumber> indices) {
    require(variable.name(), variable.type(), variable.shape(), values, indices);
    Ops beside = placement.beside(variable).ops();
    Operand<?> known =
        ofShape(beside, values, expected(variable.name(), variable.shape(), indices));
    return new Gradient(
        variable,
        known.asOutput(),
        indices == null
            ? null
            : new RowCheck(placement, variable.op().device(), variable.name(), variable.shape())
                .indices(known, indices));
  }

  /** Values whose shape was not wholly known when the graph was built, as of a gather. */
  static <T extends TType> Operand<T> ofShape(Ops tf, Operand<T> values, Shape shape) {
    return values.shape().equals(shape) ? values : tf.ensureShape(values, shape);
  }

  /** The values, dense or not, in another type. */
  @SuppressWarnings("unchecked") // Of the variable's type, which is numeric.
  Operand<? extends TNumber> values(Ops ops, Class<? extends TNumber> type) {
    return WholeUpdateStep.cast(ops, (Output<? extends TNumber>) values, type);
  }
}
