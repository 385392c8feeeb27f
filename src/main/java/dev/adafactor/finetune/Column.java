package dev.adafactor.finetune;

import java.nio.ByteBuffer;
import java.util.function.DoublePredicate;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/**
 * One array of the data, a row for each example: gathers batches of it as tensors of the type that
 * the model takes.
 *
 * <p>Numbers are converted as tf_keras converts them where nothing is lost but precision: anything
 * numeric to floats, integers to integers.
 */
final class Column {
  private final String name;
  private final NpyFile file;
  private final ElementType type;
  private final Shape rowShape;

  private Column(String name, NpyFile file, ElementType type, Shape rowShape) {
    this.name = name;
    this.file = file;
    this.type = type;
    this.rowShape = rowShape;
  }

  /**
   * A column of features or labels.
   *
   * @param name what a user knows it by, for messages: "features of input 'image'"
   * @param file the data
   * @param dtype the type of the batches
   * @param shape what the batches must fit, the batch dimension first; unknown dimensions fit all
   * @throws IllegalArgumentException if the file's shape or type does not fit
   */
  static Column of(String name, NpyFile file, DataType dtype, Shape shape) {
    ElementType type = ElementType.of(dtype);
    if (!type.takes(file.type())) {
      throw new IllegalArgumentException(
          "%s: %s holds %s; %s are wanted, to become %s"
              .formatted(name, file.path(), file.type(), type.sources(), type));
    }
    Shape rowShape = file.shape().tail();
    if (rowShape.isScalar() && shape.numDimensions() == 2) {
      rowShape = Shape.of(1); // tf_keras, too, takes n values as n rows of one
    } else if (shape.numDimensions() == 1 && rowShape.equals(Shape.of(1))) {
      rowShape = Shape.scalar();
    }
    if (!shape.isUnknown() && !rowShape.isCompatibleWith(shape.tail())) {
      throw new IllegalArgumentException(
          "%s: %s has the shape %s; %s is wanted"
              .formatted(name, file.path(), describe(file.shape()), describe(shape)));
    }
    return new Column(name, file, type, rowShape);
  }

  /** As Python writes a shape, with {@code batch} for an unknown first dimension. */
  private static String describe(Shape shape) {
    StringBuilder text = new StringBuilder("(");
    for (int axis = 0; axis < shape.numDimensions(); axis++) {
      long size = shape.get(axis);
      text.append(axis == 0 ? "" : ", ");
      text.append(size >= 0 ? Long.toString(size) : axis == 0 ? "batch" : "any");
    }
    return text.append(shape.numDimensions() == 1 ? ",)" : ")").toString();
  }

  String name() {
    return name;
  }

  NpyFile file() {
    return file;
  }

  /**
   * Refuses numbers that no training survives: NaN, infinities, and what does not fit the model's
   * type.
   *
   * @throws IllegalArgumentException naming the first row with such a value
   */
  void requireUsable() {
    if (type != ElementType.STRING) {
      requireEach("a finite number that fits " + type, type::holds);
    }
  }

  /**
   * Checks every number.
   *
   * @param wanted what numbers are wanted, for the message
   * @throws IllegalArgumentException naming the first row with a value that is not accepted
   */
  void requireEach(String wanted, DoublePredicate accepted) {
    NpyType source = file.type();
    ByteBuffer elements =
        ByteBuffer.allocate(Math.multiplyExact(file.rowElements(), source.size()));
    for (long row = 0; row < file.rows(); row++) {
      file.copyRow(row, elements.clear());
      for (int at = 0; at < elements.capacity(); at += source.size()) {
        double value = source.toDouble(elements, at);
        if (!accepted.test(value)) {
          throw new IllegalArgumentException(
              "%s: %s holds %s in row %d (counted from 0); wanted is %s"
                  .formatted(name, file.path(), number(value), row, wanted));
        }
      }
    }
  }

  private static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 0x1p53
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  /** The rows as one tensor, in the order given; to be closed by the caller. */
  Tensor batch(int[] rows) {
    int elements = Math.multiplyExact(rows.length, file.rowElements());
    ByteBuffer raw = ByteBuffer.allocate(Math.multiplyExact(elements, file.type().size()));
    for (int row : rows) {
      file.copyRow(row, raw);
    }
    return type.tensor(file.type(), raw, elements, rowShape.prepend(rows.length));
  }
}
