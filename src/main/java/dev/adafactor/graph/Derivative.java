package dev.adafactor.graph;

import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
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
   * Adds the operations for the sum of derivatives by one variable that are of some rows each: all
   * of these rows.
   *
   * @param parts each with indices, at least one
   */
  public static Derivative ofRows(Ops tf, List<Derivative> parts) {
    List<Operand<? extends TNumber>> values =
        parts.stream().<Operand<? extends TNumber>>map(part -> number(part.values())).toList();
    List<Operand<? extends TNumber>> indices =
        parts.stream()
            .<Operand<? extends TNumber>>map(part -> part.indices().orElseThrow())
            .toList();
    return new Derivative(
        concatenated(tf, values).asOutput(), Optional.of(concatenated(tf, ofOneType(tf, indices))));
  }

  private static List<Operand<? extends TNumber>> ofOneType(
      Ops tf, List<Operand<? extends TNumber>> indices) {
    return indices.stream().map(Operand::type).distinct().count() == 1
        ? indices
        : indices.stream()
            .<Operand<? extends TNumber>>map(each -> tf.dtypes.cast(each, TInt64.class))
            .toList();
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // All are of one type.
  private static Operand<? extends TNumber> concatenated(
      Ops tf, List<Operand<? extends TNumber>> parts) {
    return parts.size() == 1 ? parts.get(0) : tf.concat((List) parts, tf.constant(0));
  }

  @SuppressWarnings("unchecked") // Variables that are differentiated by are of numbers.
  private static Operand<? extends TNumber> number(Output<?> values) {
    return (Output<? extends TNumber>) values;
  }
}
