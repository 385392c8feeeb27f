package dev.adafactor.checkpoint;

import dev.adafactor.graph.RawVariable;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.Scope;
import org.tensorflow.proto.DataType;

/**
 * A part of the state: how it is read, and where it is put back.
 *
 * @param value what is written to a checkpoint
 * @param shape its shape
 * @param destination output of a {@code VariableV2} or {@code VarHandleOp}; empty for what only
 *     Python reads
 */
record Cell(Output<?> value, Shape shape, Optional<Destination> destination) {

  /** A variable to assign to, and its type. */
  record Destination(Output<?> variable, DataType dtype) {}

  /** What is only written. */
  static Cell writtenOnly(Output<?> value, Shape shape) {
    return new Cell(value, shape, Optional.empty());
  }

  /** A resource variable. */
  static Cell resource(Ops tf, RawVariable variable, Shape shape) {
    return new Cell(
        variable.read(tf),
        shape,
        Optional.of(new Destination(variable.handle(), variable.dtype())));
  }

  /**
   * A reference variable.
   *
   * @param written the type that it has in a checkpoint
   */
  static Cell reference(Ops tf, Output<?> variable, DataType written) {
    Output<?> value = cast(tf, variable, written);
    return new Cell(
        value, variable.shape(), Optional.of(new Destination(variable, type(variable))));
  }

  /** The type of a variable's elements; its output's own is that of a reference or a handle. */
  static DataType type(Output<?> variable) {
    return ((GraphOperation) variable.op()).attributes().getAttrType("dtype");
  }

  /** Puts a value of any numeric type into the destination. */
  Op assign(Ops tf, Output<?> restored) {
    Destination to = destination.orElseThrow();
    Output<?> typed = cast(tf, restored, to.dtype());
    if (to.variable().op().type().equals("VarHandleOp")) {
      return new RawVariable(to.variable(), to.dtype()).assign(tf, typed);
    }
    GraphOperation assign = operation(tf, "Assign").addInput(to.variable()).addInput(typed).build();
    return () -> assign;
  }

  private static Output<?> cast(Ops tf, Output<?> value, DataType dtype) {
    return value.dataType() == dtype
        ? value
        : operation(tf, "Cast").addInput(value).setAttr("DstT", dtype).build().output(0);
  }

  static GraphOperationBuilder operation(Ops tf, String type) {
    Scope scope = tf.scope();
    return ((Graph) scope.env()).opBuilder(type, scope.makeOpName(type), scope);
  }
}
