package dev.adafactor.finetune;

import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * Which of some tensors are not finite.
 *
 * @param names of the tensors
 * @param each whether it is finite, [tensors]
 */
record Finiteness(List<String> names, Operand<TBool> each) {

  /** A tensor of floats by the name that a user knows. */
  record Named(String name, Operand<? extends TNumber> tensor) {}

  /** Looks for values that are NaN or infinite. */
  static Finiteness of(Ops tf, List<Named> tensors) {
    Operand<TInt32> flat = tf.array(-1);
    Operand<TInt32> axis = tf.constant(0);
    return of(
        tf, tensors, tensor -> tf.reduceAll(tf.reshape(tf.math.isFinite(tensor), flat), axis));
  }

  /**
   * Looks for values that are NaN or infinite, or whose squares do not fit, in one pass without a
   * copy. The root of the mean square of a variable is a factor of its update: what has none cannot
   * be trained.
   */
  static Finiteness ofSquares(Ops tf, List<Named> tensors) {
    return of(tf, tensors, tensor -> tf.math.isFinite(tf.nn.l2Loss(wide(tf, tensor))));
  }

  private static Finiteness of(
      Ops tf, List<Named> tensors, Function<Operand<? extends TNumber>, Operand<TBool>> check) {
    return new Finiteness(
        tensors.stream().map(Named::name).toList(),
        tf.stack(tensors.stream().map(Named::tensor).map(check).toList()));
  }

  private static Operand<? extends TNumber> wide(Ops tf, Operand<? extends TNumber> tensor) {
    boolean isHalf = tensor.type() == TFloat16.class || tensor.type() == TBfloat16.class;
    return isHalf ? tf.dtypes.cast(tensor, TFloat32.class) : tensor;
  }

  /** The names of those that are not finite. */
  List<String> violations(Session.Runner runner) {
    try (Result result = runner.fetch(each).run()) {
      TBool finite = (TBool) result.get(0);
      return IntStream.range(0, names.size())
          .filter(i -> !finite.getBoolean(i))
          .mapToObj(names::get)
          .toList();
    }
  }
}
