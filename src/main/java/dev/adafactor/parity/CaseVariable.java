package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.List;
import org.tensorflow.ndarray.Shape;

/**
 * A variable of a case.
 *
 * @param name as the layer would call it, without {@code ":0"}
 * @param shape its dimensions, in order
 * @param type the type of its elements
 * @param initial its value before the first step
 */
public record CaseVariable(String name, List<Long> shape, ElementType type, Values initial) {
  /** Keeps a copy of the shape. */
  public CaseVariable {
    shape = List.copyOf(shape);
  }

  Shape tensorShape() {
    return Shape.of(shape.stream().mapToLong(Long::longValue).toArray());
  }

  /** Whether the second moment is factored into rows and columns. */
  boolean isFactored() {
    return shape.size() >= 2;
  }

  /** The shape of the moving averages over the last axis; only of factored variables. */
  List<Long> rowShape() {
    return shape.subList(0, shape.size() - 1);
  }

  /** The shape of the moving averages over the axis before the last; only of factored variables. */
  List<Long> columnShape() {
    List<Long> columns = new ArrayList<>(shape);
    columns.remove(shape.size() - 2);
    return columns;
  }

  /** The shape of {@code rows} slices of this variable along its first axis. */
  List<Long> sliceShape(long rows) {
    List<Long> slices = new ArrayList<>(shape);
    slices.set(0, rows);
    return slices;
  }
}
