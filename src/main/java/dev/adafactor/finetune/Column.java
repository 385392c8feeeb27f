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
  private static final int ROWS_BETWEEN_REPORTS = 1 << 12;

  private final String name;
  private final Rows rows;
  private final ElementType type;
  private final Shape rowShape;

  private Column(String name, Rows rows, ElementType type, Shape rowShape) {
    this.name = name;
    this.rows = rows;
    this.type = type;
    this.rowShape = rowShape;
  }

  /**
   * A column of features or labels.
   *
   * @param name what a user knows it by, for messages: "features of input 'image'"
   * @param rows the data
   * @param dtype the type of the batches
   * @param shape what the batches must fit, the batch dimension first; unknown dimensions fit all
   * @throws IllegalArgumentException if the file's shape or type does not fit
   */
  static Column of(String name, Rows rows, DataType dtype, Shape shape) {
    ElementType type = ElementType.of(dtype);
    if (!type.takes(rows.type())) {
      throw new IllegalArgumentException(
          "%s: %s holds %s; %s are wanted, to become %s"
              .formatted(name, rows.path(), rows.type(), type.sources(), type));
    }
    Shape rowShape = rows.shape().tail();
    if (rowShape.isScalar() && shape.numDimensions() == 2) {
      rowShape = Shape.of(1); // tf_keras, too, takes n values as n rows of one
    } else if (shape.numDimensions() == 1 && rowShape.equals(Shape.of(1))) {
      rowShape = Shape.scalar();
    }
    if (!shape.isUnknown() && !rowShape.isCompatibleWith(shape.tail())) {
      throw new IllegalArgumentException(
          "%s: %s has the shape %s; %s is wanted"
              .formatted(name, rows.path(), describe(rows.shape()), describe(shape)));
    }
    return new Column(name, rows, type, rowShape);
  }

  /** As Python writes a shape, with {@code batch} for an unknown first dimension. */
  static String describe(Shape shape) {
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

  Rows rows() {
    return rows;
  }

  /** Hears how far the check of a column has come. */
  @FunctionalInterface
  interface Progress {

    /**
     * Called after every few rows.
     *
     * @param row the row that comes next
     */
    void at(long row);
  }

  /**
   * Refuses numbers that no training survives: NaN, infinities, and what does not fit the model's
   * type.
   *
   * @throws IllegalArgumentException naming the first row with such a value
   */
  void requireUsable(Progress progress) {
    requireEach("a finite number that fits " + type, type::holds, progress);
  }

  /**
   * Checks every number, or every text, in one pass from the first row to the last.
   *
   * @param wanted what numbers are wanted, for the message
   * @param accepted what {@code wanted} says; text is accepted where it is Unicode
   * @throws IllegalArgumentException naming the first row with a value that is not accepted
   */
  void requireEach(String wanted, DoublePredicate accepted, Progress progress) {
    NpyType source = rows.type();
    ByteBuffer elements =
        ByteBuffer.allocate(Math.multiplyExact(rows.rowElements(), source.size()));
    for (long row = 0; row < rows.rows(); row++) {
      if (row % ROWS_BETWEEN_REPORTS == 0) {
        progress.at(row);
      }
      rows.copyRow(row, elements.clear());
      for (int at = 0; at < elements.capacity(); at += source.size()) {
        if (type == ElementType.STRING) {
          requireText(elements, at, row);
        } else if (!accepted.test(source.toDouble(elements, at))) {
          throw refusal(row, number(source.toDouble(elements, at)), wanted);
        }
      }
    }
  }

  private void requireText(ByteBuffer elements, int position, long row) {
    try {
      rows.type().toText(elements, position);
    } catch (IllegalArgumentException e) {
      IllegalArgumentException refusal = refusal(row, e.getMessage(), "text");
      refusal.initCause(e);
      throw refusal;
    }
  }

  private IllegalArgumentException refusal(long row, String found, String wanted) {
    Rows.Place place = rows.place(row);
    return new IllegalArgumentException(
        "%s: %s holds %s in row %d (counted from 0); wanted is %s"
            .formatted(name, place.file(), found, place.row(), wanted));
  }

  private static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 0x1p53
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  /** The rows as one tensor, in the order given; to be closed by the caller. */
  Tensor batch(int[] picked) {
    Shape shape = rowShape.prepend(picked.length);
    return type.isNumberOf(rows.type()) ? copied(picked, shape) : converted(picked, shape);
  }

  /** Row by row to where they belong: a whole batch in the Java heap would be garbage each step. */
  private Tensor copied(int[] picked, Shape shape) {
    byte[] row = new byte[Math.multiplyExact(rows.rowElements(), rows.type().size())];
    ByteBuffer buffer = ByteBuffer.wrap(row);
    return type.tensor(
        shape,
        bytes -> {
          long offset = 0;
          for (int index : picked) {
            rows.copyRow(index, buffer.clear());
            bytes.slice(offset, row.length).write(row);
            offset += row.length;
          }
        });
  }

  private Tensor converted(int[] picked, Shape shape) {
    int elements = Math.multiplyExact(picked.length, rows.rowElements());
    ByteBuffer raw = ByteBuffer.allocate(Math.multiplyExact(elements, rows.type().size()));
    for (int row : picked) {
      rows.copyRow(row, raw);
    }
    return type.tensor(rows.type(), raw, elements, shape);
  }
}
