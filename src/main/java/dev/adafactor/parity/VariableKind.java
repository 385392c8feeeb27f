package dev.adafactor.parity;

import dev.adafactor.Adafactor;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Assign;
import org.tensorflow.op.core.AssignVariableOp;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** The two kinds of variable that TensorFlow has. */
public enum VariableKind implements Holding {
  /** {@code VariableV2}, what {@code tf.variable} makes. */
  REFERENCE {
    @Override
    public <T extends TNumber> Output<? extends TType> declare(
        Ops tf, String name, Operand<T> initial) {
      Output<T> variable = operation(tf, "VariableV2", name, initial).output(0);
      Assign.create(tf.withInitScope().scope(), variable, initial);
      return variable;
    }

    @Override
    public <T extends TNumber> Operand<T> read(
        Ops tf, Operand<? extends TType> variable, Class<T> type) {
      return tf.identity(variable.asOutput().expect(type));
    }
  },

  /** {@code VarHandleOp}, what Python exports. */
  RESOURCE {
    @Override
    public <T extends TNumber> Output<? extends TType> declare(
        Ops tf, String name, Operand<T> initial) {
      Output<? extends TType> handle = operation(tf, "VarHandleOp", name, initial).output(0);
      AssignVariableOp.create(tf.withInitScope().scope(), handle, initial);
      return handle;
    }

    @Override
    public <T extends TNumber> Operand<T> read(
        Ops tf, Operand<? extends TType> variable, Class<T> type) {
      return tf.readVariableOp(variable, type);
    }
  };

  @Override
  public abstract <T extends TNumber> Output<? extends TType> declare(
      Ops tf, String name, Operand<T> initial);

  @Override
  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  public <T extends TNumber> GradAndVar<? extends TType> pair(
      Operand<T> gradient, Operand<? extends TType> variable) {
    Output<T> values = gradient == null ? null : gradient.asOutput();
    return new GradAndVar<>(values, (Output<T>) variable.asOutput());
  }

  @Override
  public Adafactor.Builder with(Adafactor.Builder builder) {
    return builder;
  }

  @Override
  public ConfigProto with(ConfigProto config) {
    return config;
  }

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
