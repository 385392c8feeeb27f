package dev.adafactor.finetune;

import dev.adafactor.IndexedSlices;
import dev.adafactor.graph.RawVariable;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The sum of a variable's gradients over the parts of a batch; in half precision it is taken in
 * float32. A sparse gradient's rows are kept as they come: clipping, which sees them before those
 * of one index are added up, is that of the whole batch.
 *
 * @param first takes the gradient of the first part
 * @param next adds that of a later part
 * @param pair the sum, with the variable that it belongs to
 */
record GradientSum(List<Op> first, List<Op> next, GradAndVar<? extends TType> pair) {

  /** What is kept of the parts so far. */
  private record Kept(Operand<? extends TNumber> value, Op first, Op next) {

    static Kept added(Ops tf, String name, Operand<? extends TNumber> part) {
      RawVariable sum = variable(tf, name, part, part.shape());
      return new Kept(
          StepFunction.numeric(sum.read(tf)), sum.assign(tf, part), sum.assignAdd(tf, part));
    }

    @SuppressWarnings({"unchecked", "rawtypes"}) // What is kept is of the part's type.
    static Kept appended(Ops tf, String name, Operand<? extends TNumber> part) {
      Shape anyRows = part.shape().tail().prepend(Shape.UNKNOWN_SIZE);
      RawVariable rows = variable(tf, name, part, anyRows);
      Operand<? extends TNumber> value = StepFunction.numeric(rows.read(tf));
      Operand<?> longer = tf.concat((List) List.of(value, part), tf.constant(0));
      return new Kept(value, rows.assign(tf, part), rows.assign(tf, longer));
    }

    private static RawVariable variable(
        Ops tf, String name, Operand<? extends TNumber> part, Shape shape) {
      return RawVariable.create(tf, name, part.asOutput().dataType(), shape);
    }
  }

  /**
   * Adds the operations.
   *
   * @param name of what keeps the sum
   * @param pair the gradient of a part
   * @param share how large a part of the batch the part is
   */
  static GradientSum of(
      Ops tf, String name, GradAndVar<? extends TType> pair, Operand<TFloat32> share) {
    Output<?> gradient = pair.getGradient();
    Operand<? extends TNumber> part = scaled(tf, gradient, share);
    Optional<IndexedSlices<?>> slices = IndexedSlices.from(pair);
    if (slices.isEmpty()) {
      Kept sum = Kept.added(tf, name, part);
      return new GradientSum(
          List.of(sum.first()),
          List.of(sum.next()),
          StepFunction.pair(as(tf, sum.value(), gradient), pair.getVariable()));
    }
    Kept values = Kept.appended(tf, name + "/values", part);
    Kept indices = Kept.appended(tf, name + "/indices", slices.get().indices());
    return new GradientSum(
        List.of(values.first(), indices.first()),
        List.of(values.next(), indices.next()),
        new IndexedSlices<>(StepFunction.numeric(as(tf, values.value(), gradient)), indices.value())
            .of(pair.getVariable()));
  }

  private static Operand<? extends TNumber> scaled(
      Ops tf, Output<?> gradient, Operand<TFloat32> share) {
    return gradient.dataType() == DataType.DT_DOUBLE
        ? tf.math.mul(
            tf.dtypes.cast(gradient, TFloat64.class), tf.dtypes.cast(share, TFloat64.class))
        : tf.math.mul(tf.dtypes.cast(gradient, TFloat32.class), share);
  }

  /** In the gradient's own type. */
  private static Output<?> as(Ops tf, Operand<? extends TNumber> sum, Output<?> gradient) {
    return tf.dtypes.cast(sum, StepFunction.numeric(gradient).type()).asOutput();
  }
}
