package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Placement;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** What only a run can tell of the sparse gradient of a variable. */
final class RowCheck {

  private final Constants there;

  /** Texts are for CPUs alone. */
  private final Ops host;

  private final String name;
  private final Shape shape;

  /**
   * @param device where the gradient is
   * @param name of the variable
   * @param shape of the variable
   */
  RowCheck(Placement placement, String device, String name, Shape shape) {
    this.there = placement.on(device);
    this.host = placement.on(Placement.host(device)).ops();
    this.name = name;
    this.shape = shape;
  }

  /**
   * Indices as a vector, one for each row of the values, of rows that there are, or negative
   * numbers, which count nowhere. A run in which they are not so fails here.
   *
   * @param values of the shape of rows of the variable
   */
  <I extends TNumber> Operand<I> indices(Operand<?> values, Operand<I> indices) {
    Ops tf = there.ops();
    Operand<I> vector =
        indices.shape().isUnknown()
            ? tf.ensureShape(indices, Shape.of(Shape.UNKNOWN_SIZE))
            : indices;
    Operand<I> greatest = tf.max(vector, there.axes(0));
    List<Op> checks = new ArrayList<>();
    checks.add(
        check(
            tf.math.less(greatest, there.number(indices.type(), (double) shape.get(0))),
            // Quotes would be shown as \'.
            "a sparse gradient has an index beyond the %d rows of variable %s: "
                .formatted(shape.get(0), name),
            greatest));
    if (!isKnown(values) || !isKnown(vector)) {
      Operand<TInt64> given = tf.size(values, TInt64.class);
      Operand<TInt64> row = there.number(TInt64.class, (double) shape.tail().size());
      checks.add(
          check(
              tf.math.equal(given, tf.math.mul(tf.size(vector, TInt64.class), row)),
              "a sparse gradient of variable %s must have %d values for each index, and has in all: "
                  .formatted(name, shape.tail().size()),
              given));
    }
    return tf.withControlDependencies(checks).identity(vector);
  }

  private static boolean isKnown(Operand<?> rows) {
    return rows.shape().get(0) != Shape.UNKNOWN_SIZE;
  }

  private Op check(Operand<TBool> holds, String message, Operand<?> found) {
    return there.ops().assertThat(holds, List.of(host.constant(message), found));
  }
}
