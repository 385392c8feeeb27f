package dev.adafactor.checkpoint;

import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.Scope;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/**
 * A part of the state: how it is read, and where it is put back.
 *
 * @param value what is written to a checkpoint
 * @param shape its shape
 * @param destination empty for what only Python reads
 */
record Cell(Output<?> value, Shape shape, Optional<Destination> destination) {

  /** Adds the operations that set a variable to a value of its type. */
  @FunctionalInterface
  interface Assignment {
    Op add(Ops tf, Output<?> value);
  }

  /** A variable to assign to, and its type. */
  record Destination(DataType dtype, Assignment assignment) {}

  /** What is only written. */
  static Cell writtenOnly(Output<?> value, Shape shape) {
    return new Cell(value, shape, Optional.empty());
  }

  /** A resource variable. */
  static Cell resource(Ops tf, RawVariable variable, Shape shape) {
    return new Cell(
        variable.read(tf), shape, Optional.of(new Destination(variable.dtype(), variable::assign)));
  }

  /**
   * A reference variable.
   *
   * @param written the type that it has in a checkpoint
   */
  static Cell reference(Ops tf, Output<?> variable, DataType written) {
    return new Cell(
        cast(tf, variable, written),
        variable.shape(),
        Optional.of(
            new Destination(
                type(variable),
                (there, value) -> {
                  GraphOperation assign =
                      operation(there, "Assign").addInput(variable).addInput(value).build();
                  return () -> assign;
                })));
  }

  /**
   * A slot of an optimizer.
   *
   * @param slot its value
   * @param written the type that it has in a checkpoint
   */
  static Cell slot(
      Ops tf, Operand<? extends TNumber> slot, DataType written, Assignment assignment) {
    return new Cell(
        cast(tf, slot.asOutput(), written),
        slot.shape(),
        Optional.of(new Destination(VariableView.dataType(slot.type()), assignment)));
  }

  /** The type of a variable's elements; its output's own is that of a reference or a handle. */
  static DataType type(Output<?> variable) {
    return ((GraphOperation) variable.op()).attributes().getAttrType("dtype");
  }

  /** Puts a value of any numeric type into the destination. */
  Op assign(Ops tf, Output<?> restored) {
    Destination to = destination.orElseThrow();
    return to.assignment().add(tf, cast(tf, restored, to.dtype()));
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
