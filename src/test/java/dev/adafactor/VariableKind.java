package dev.adafactor;

import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** The two kinds of variable that an optimizer meets. */
public enum VariableKind {
  REFERENCE {
    @Override
    public <T extends TNumber> Output<? extends TType> create(
        Ops tf, String name, Operand<T> initial) {
      Output<T> variable = declare(tf, "VariableV2", name, initial).expect(initial.type());
      Ops init = tf.withInitScope();
      init.assign(variable, initial);
      return variable;
    }

    @Override
    public <T extends TNumber> Operand<T> read(
        Ops tf, Output<? extends TType> variable, Class<T> type) {
      return variable.expect(type);
    }
  },

  RESOURCE {
    @Override
    public <T extends TNumber> Output<? extends TType> create(
        Ops tf, String name, Operand<T> initial) {
      Output<? extends TType> handle = declare(tf, "VarHandleOp", name, initial);
      Ops init = tf.withInitScope();
      init.assignVariableOp(handle, initial);
      return handle;
    }

    @Override
    public <T extends TNumber> Operand<T> read(
        Ops tf, Output<? extends TType> variable, Class<T> type) {
      return tf.readVariableOp(variable, type);
    }
  };

  /**
   * Adds a variable and its initializer.
   *
   * @param name the operation's whole name, which may have slashes
   * @return the variable's output or handle
   */
  public abstract <T extends TNumber> Output<? extends TType> create(
      Ops tf, String name, Operand<T> initial);

  /** What a model computes with. */
  public abstract <T extends TNumber> Operand<T> read(
      Ops tf, Output<? extends TType> variable, Class<T> type);

  private static Output<? extends TType> declare(
      Ops tf, String opType, String name, Operand<?> initial) {
    return tf.scope()
        .env()
        .opBuilder(opType, name, tf.scope())
        .setAttr("dtype", initial.asOutput().dataType())
        .setAttr("shape", initial.shape())
        .setAttr("shared_name", name)
        .build()
        .output(0);
  }
}
