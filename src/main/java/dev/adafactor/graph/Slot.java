package dev.adafactor.graph;

import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.Scope;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.family.TNumber;

/** A variable that an optimizer keeps beside a model's variable, on the same device. */
public final class Slot<T extends TNumber> {

  private final Variable<T> variable;

  private Slot(Variable<T> variable) {
    this.variable = variable;
  }

  /**
   * Adds a slot that starts with zeros.
   *
   * @param init the constants of the scope for initializers
   */
  public static <T extends TNumber> Slot<T> zeros(
      Constants init, VariableView<?> beside, String name, Shape shape, Class<T> type) {
    Slot<T> slot = create(init.ops(), beside, name, shape, type);
    slot.assign(init.ops(), init.filled(type, shape, 0));
    return slot;
  }

  /**
   * Adds a slot that starts with the value of the variable.
   *
   * @param init the constants of the scope for initializers
   */
  public static <T extends TNumber> Slot<T> copy(
      Constants init, VariableView<T> variable, String name) {
    Slot<T> slot = create(init.ops(), variable, name, variable.shape(), variable.type());
    slot.assign(init.ops(), variable.initialValue(init.ops()));
    return slot;
  }

  private static <T extends TNumber> Slot<T> create(
      Ops init, VariableView<?> beside, String name, Shape shape, Class<T> type) {
    Scope scope = init.scope();
    // The builder itself: only it takes the attribute that colocates.
    return new Slot<>(
        new Variable<>(
            scope
                .env()
                .opBuilder(
                    "VariableV2",
                    scope.makeOpName(Names.sanitize(beside.name() + "-" + name)),
                    scope)
                .setAttr("shape", shape)
                .setAttr("dtype", VariableView.dataType(type))
                .setAttr("_class", new String[] {"loc:@" + beside.op().name()})
                .build()));
  }

  public Variable<T> variable() {
    return variable;
  }

  /** The value at the moment at which what consumes it runs. */
  public Operand<T> read() {
    return variable;
  }

  public Op assign(Ops ops, Operand<T> value) {
    return ops.assign(variable, value);
  }
}
