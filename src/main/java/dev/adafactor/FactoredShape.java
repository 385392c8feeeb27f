package dev.adafactor;

import java.util.Arrays;
import java.util.Optional;
import org.tensorflow.ndarray.Shape;

/**
 * The shapes of the two factors of a second moment (the paper's section 3).
 *
 * <p>tf_keras's documentation says that variables "of dimension &gt; 2" are factored; its code, and
 * so this, factors from rank 2 on, always over the last two axes.
 *
 * @param r the shape of the row factor: the variable's without its last dimension
 * @param c the shape of the column factor: the variable's without its last but one dimension
 */
record FactoredShape(Shape r, Shape c) {

  /** The factors of a variable of a shape; none for rank 0 and 1, which keep v whole. */
  static Optional<FactoredShape> of(Shape variable) {
    int rank = variable.numDimensions();
    if (rank < 2) {
      return Optional.empty();
    }
    long[] dimensions = variable.asArray();
    long[] r = Arrays.copyOf(dimensions, rank - 1);
    long[] c = Arrays.copyOf(dimensions, rank - 1);
    c[rank - 2] = dimensions[rank - 1];
    return Optional.of(new FactoredShape(Shape.of(r), Shape.of(c)));
  }
}
