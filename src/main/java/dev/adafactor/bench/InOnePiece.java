package dev.adafactor.bench;

import dev.adafactor.graph.RawVariable;
import dev.adafactor.parity.VariableKind;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * Where TensorFlow puts them.
 *
 * @param holding their kind
 */
record InOnePiece(VariableKind holding) implements Keeping {

  @Override
  public <T extends TNumber> Kept<T> variable(Ops tf, String name, Operand<T> initial) {
    return switch (holding) {
      case REFERENCE -> {
        Variable<T> variable = tf.withName(name).variable(initial.shape(), initial.type());
        yield new Kept<>(variable, tf.identity(variable), List.of(tf.assign(variable, initial)));
      }
      case RESOURCE -> resource(tf, name, initial);
    };
  }

  /** Adds a resource variable. */
  @SuppressWarnings("unchecked") // A resource has no type in Java.
  static <T extends TNumber> Kept<T> resource(Ops tf, String name, Operand<T> initial) {
    RawVariable variable =
        RawVariable.create(tf, name, initial.asOutput().dataType(), initial.shape());
    return new Kept<>(
        (Output<? extends TType>) variable.handle(),
        variable.read(tf).expect(initial.type()),
        List.of(variable.assign(tf, initial)));
  }

  @Override
  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  public <T extends TNumber> KeptGradient gradient(
      Ops tf, String name, Operand<T> initial, Kept<T> variable) {
    Kept<T> gradient = resource(tf, name, initial);
    return new KeptGradient(
        new GradAndVar(gradient.value().asOutput(), variable.variable().asOutput()),
        gradient.assignments());
  }
}
