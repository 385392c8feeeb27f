package dev.adafactor.graph;

import java.util.List;
import java.util.Optional;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * The derivative of a loss by a variable, of the variable's type.
 *
 * @param values of the variable's shape; with indices, of shape {@code [k] + variable.shape[1:]}
 * @param indices of shape {@code [k]}, int32 or int64: the row of each of the values, which add up
 *     where they are of one row; empty where the values are those of all rows
 */
public record Derivative(Output<?> values, Optional<Operand<? extends TNumber>> indices) {

  /**
   * The sum of derivatives by one variable; of rows alone if all of them are.
   *
   * @param shape of the variable
   * @param parts at least one, whose values are of one type
   */
  static Derivative sum(Ops tf, Shape shape, List<Derivative> parts) {
    if (parts.size() == 1) {
      return parts.get(0);
    }
    if (parts.stream().allMatch(part -> part.indices().isPresent())) {
      return ofRows(tf, parts);
    }
    return new Derivative(
        added(tf, parts.stream().map(part -> part.dense(tf, shape).number()).toList()).asOutput(),
        Optional.empty());
  }

  /**
   * The sum of derivatives by one variable that are of some rows each: all of these rows.
   *
   * @param parts each with indices, at least one
   */
  public static Derivative ofRows(Ops tf, List<Derivative> parts) {
    List<Operand<? extends TNumber>> indices =
        parts.stream()
            .<Operand<? extends TNumber>>map(part -> part.indices().orElseThrow())
            .toList();
    return new Derivative(
        concatenated(tf, parts.stream().map(Derivative::number).toList()).asOutput(),
        Optional.of(concatenated(tf, ofOneType(tf, indices))));
  }

  /** The same derivative with values of all rows. */
  Derivative dense(Ops tf, Shape shape) {
    return indices
        .map(rows -> tf.math.unsortedSegmentSum(number(), rows, tf.constant(shape.get(0))))
        .map(all -> new Derivative(all.asOutput(), Optional.empty()))
        .orElse(this);
  }

  /** The values of all rows, computed on the variable's device. */
  public Output<?> dense(Ops tf, Output<?> variable) {
    VariableView<?> view = VariableView.create((GraphOperation) variable.op());
    return dense(new Placement(new Constants(tf)).beside(view).ops(), view.shape()).values();
  }

  @SuppressWarnings("unchecked") // A derivative is of floats.
  Operand<? extends TNumber> number() {
    return (Operand<? extends TNumber>) values;
  }

  private static List<? extends Operand<? extends TNumber>> ofOneType(
      Ops tf, List<Operand<? extends TNumber>> indices) {
    return indices.stream().map(Operand::type).distinct().count() == 1
        ? indices
        : indices.stream().map(each -> tf.dtypes.cast(each, TInt64.class)).toList();
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // All are of one type.
  private static Operand<? extends TNumber> concatenated(
      Ops tf, List<? extends Operand<? extends TNumber>> parts) {
    return parts.size() == 1 ? parts.get(0) : tf.concat((List) parts, tf.constant(0));
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // All are of one type.
  static Operand<? extends TNumber> added(
      Ops tf, List<? extends Operand<? extends TNumber>> parts) {
    return tf.math.addN((List) parts);
  }
}
