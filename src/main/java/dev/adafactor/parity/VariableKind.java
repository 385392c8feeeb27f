package dev.adafactor.parity;

import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Assign;
import org.tensorflow.op.core.AssignVariableOp;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** The two kinds of variable that TensorFlow has. */
public enum VariableKind {
  /** {@code VariableV2}, what {@code tf.variable} makes. */
  REFERENCE {
    @Override
    <T extends TNumber> Output<? extends TType> declare(Ops tf, String name, Operand<T> initial) {
      Output<T> variable = operation(tf, "VariableV2", name, initial).output(0);
      Assign.create(tf.withInitScope().scope(), variable, initial);
      return variable;
    }

    @Override
    <T extends TNumber> Operand<T> read(Ops tf, Output<? extends TType> variable, Class<T> type) {
      return tf.identity(variable.expect(type));
    }
  },

  /** {@code VarHandleOp}, what Python exports. */
  RESOURCE {
    @Override
    <T extends TNumber> Output<? extends TType> declare(Ops tf, String name, Operand<T> initial) {
      Output<? extends TType> handle = operation(tf, "VarHandleOp", name, initial).output(0);
      AssignVariableOp.create(tf.withInitScope().scope(), handle, initial);
      return handle;
    }

    @Override
    <T extends TNumber> Operand<T> read(Ops tf, Output<? extends TType> variable, Class<T> type) {
      return tf.readVariableOp(variable, type);
    }
  };

  /**
   * Adds a variable to the graph, and its initializer.
   *
   * @param name the full name of the operation, which may have slashes
   * @return the variable's output or handle
   */
  abstract <T extends TNumber> Output<? extends TType> declare(
      Ops tf, String name, Operand<T> initial);

  /** Adds an operation that gives the variable's value. */
  abstract <T extends TNumber> Operand<T> read(
      Ops tf, Output<? extends TType> variable, Class<T> type);

  private static <T extends TNumber> GraphOperation operation(
      Ops tf, String opType, String name, Operand<T> initial) {
    // Not through Ops, which admits no slash in a name.
    var builder =
        tf.scope()
            .env()
            .opBuilder(opType, name, tf.scope())
            .setAttr("dtype", initial.asOutput().dataType())
            .setAttr("shape", initial.shape())
            .setAttr("shared_name", name);
    return (GraphOperation) builder.build();
  }
}
