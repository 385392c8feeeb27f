package dev.adafactor.graph;

import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TType;

/**
 * A resource variable of any element type, also of one that Java has no class for.
 *
 * @param handle output of a {@code VarHandleOp}
 * @param dtype type of the elements
 */
public record RawVariable(Output<?> handle, DataType dtype) {
  private static final String OPERATION = "VarHandleOp";

  /**
   * Adds a variable, which has no value before the first assignment. It is of no interest to savers
   * and exports.
   *
   * @param name unique in the session
   */
  public static RawVariable create(Ops tf, String name, DataType dtype, Shape shape) {
    GraphOperationBuilder builder = builder(tf, OPERATION);
    builder.setAttr("dtype", dtype).setAttr("shape", shape).setAttr("shared_name", name);
    return new RawVariable(builder.build().output(0), dtype);
  }

  /** The value when this is run. */
  public Output<?> read(Ops tf) {
    GraphOperationBuilder builder = builder(tf, "ReadVariableOp");
    builder.addInput(handle).setAttr("dtype", dtype);
    return builder.build().output(0);
  }

  /** Replaces the value. */
  public Op assign(Ops tf, Operand<?> value) {
    return tf.assignVariableOp(resource(), value);
  }

  /** Adds to the value. */
  public Op assignAdd(Ops tf, Operand<?> value) {
    return tf.assignAddVariableOp(resource(), value);
  }

  @SuppressWarnings("unchecked") // A resource has no type in Java.
  private Operand<? extends TType> resource() {
    return (Operand<? extends TType>) handle;
  }

  private static GraphOperationBuilder builder(Ops tf, String operation) {
    return (GraphOperationBuilder)
        tf.scope().env().opBuilder(operation, tf.scope().makeOpName(operation), tf.scope());
  }
}
