package dev.adafactor.finetune;

import java.util.List;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.family.TNumber;

/**
 * Which of some tensors have a value that is NaN or infinite.
 *
 * @param names of the tensors
 * @param each whether it is finite, [tensors]
 */
record Finiteness(List<String> names, Operand<TBool> each) {

  /** A tensor of floats by the name that a user knows. */
  record Named(String name, Operand<? extends TNumber> tensor) {}

  static Finiteness of(Ops tf, List<Named> tensors) {
    return new Finiteness(
        tensors.stream().map(Named::name).toList(),
        tf.stack(tensors.stream().map(named -> isFinite(tf, named.tensor())).toList()));
  }

  private static Operand<TBool> isFinite(Ops tf, Operand<? extends TNumber> tensor) {
    return tf.reduceAll(tf.reshape(tf.math.isFinite(tensor), tf.array(-1)), tf.constant(0));
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
