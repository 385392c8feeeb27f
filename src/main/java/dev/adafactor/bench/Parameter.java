package dev.adafactor.bench;

import java.util.OptionalInt;
import org.tensorflow.ndarray.Shape;

/**
 * A variable that is updated.
 *
 * @param name for people
 * @param shape fully known; fewer than 2^31 elements, as many of the gradient, where a dimension of
 *     0 counts as 1
 * @param gradientRows how many rows, some of them the same, a sparse gradient has; empty for a
 *     dense one
 */
public record Parameter(String name, Shape shape, OptionalInt gradientRows) {
  /** The numbers that variables begin with are made from 32-bit indices. */
  private static final double MOST_ELEMENTS = (1L << 31) - (1 << 20) - 1;

  /** TensorFlow ends the process where a shape has more. */
  private static final int MOST_DIMENSIONS = 254;

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if there are too many dimensions or elements, or rows of what
   *     has none
   */
  public Parameter {
    requireCountable(name, shape);
    if (gradientRows.isPresent()) {
      if (shape.numDimensions() == 0) {
        throw new IllegalArgumentException(
            "variable '%s' is a scalar: it has no rows".formatted(name));
      }
      if (shape.get(0) == 0) {
        throw new IllegalArgumentException(
            "variable '%s' of shape %s has no rows".formatted(name, shape));
      }
      if (gradientRows.getAsInt() < 1) {
        throw new IllegalArgumentException(
            "variable '%s': %d is no number of rows".formatted(name, gradientRows.getAsInt()));
      }
      requireCountable(name, rowsOf(shape, gradientRows.getAsInt()));
    }
  }

  /** One with a dense gradient. */
  static Parameter dense(String name, long... dimensions) {
    return new Parameter(name, Shape.of(dimensions), OptionalInt.empty());
  }

  /** One with a gradient for some of its rows. */
  static Parameter sparse(String name, int rows, long... dimensions) {
    return new Parameter(name, Shape.of(dimensions), OptionalInt.of(rows));
  }

  private static void requireCountable(String name, Shape shape) {
    if (shape.numDimensions() > MOST_DIMENSIONS) {
      throw new IllegalArgumentException(
          "variable '%s' has %d dimensions; up to %d are taken"
              .formatted(name, shape.numDimensions(), MOST_DIMENSIONS));
    }
    double elements = 1;
    for (long dimension : shape.asArray()) {
      if (dimension < 0) {
        throw new IllegalArgumentException(
            "variable '%s': %d is no dimension".formatted(name, dimension));
      }
      // State and gradient leave out dimensions or replace them: what has a 0 can be large there.
      elements *= Math.max(1, dimension);
    }
    if (elements > MOST_ELEMENTS) {
      throw new IllegalArgumentException(
          "variable '%s' of shape %s is too large: up to %.0f elements are taken, where a dimension"
                  .formatted(name, shape, MOST_ELEMENTS)
              + " of 0 counts as 1");
    }
  }

  private static Shape rowsOf(Shape shape, int rows) {
    return shape.tail().prepend(rows);
  }

  long elements() {
    return shape.size();
  }

  /** The shape of the gradient's values. */
  Shape gradientShape() {
    return gradientRows.isPresent() ? rowsOf(shape, gradientRows.getAsInt()) : shape;
  }
}
