package dev.adafactor.checkpoint;

import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.savedmodel.ModelVariable;
import java.util.Optional;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/** A variable that belongs to a state: whatever it is in a graph, it is one in a checkpoint. */
sealed interface StateVariable {

  /**
   * Views a variable of any graph.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @param trainable whether it is trained
   * @throws IllegalArgumentException if it is none of them
   */
  static StateVariable of(Operand<?> variable, boolean trainable) {
    if (variable instanceof ShardedVariable<?> sharded) {
      return new InShards<>(sharded);
    }
    Output<?> output = variable.asOutput();
    if (!VariableView.isVariable(output.op())) {
      throw new IllegalArgumentException(
          "'%s' is the output of a %s, not a variable"
              .formatted(output.name(), output.op().type()));
    }
    var attributes = ((GraphOperation) output.op()).attributes();
    return new InOnePiece(
        new ModelVariable(
            VariableView.name(output),
            output,
            attributes.getAttrShape("shape"),
            attributes.getAttrType("dtype"),
            trainable),
        output);
  }

  /** The name as Python's {@code variable.name} has it, without the {@code :0}. */
  String name();

  /** What tells the variable from others, whatever its handle. */
  String key();

  Shape shape();

  DataType dtype();

  /** What an optimizer takes. */
  Operand<?> operand();

  /** Where the value is. */
  Cell cell(Ops tf);

  /** Adds the operations that copy the value. */
  Output<?> copy(Ops tf);

  /**
   * A variable with a place of its own.
   *
   * @param operand what an optimizer takes for it, be it shards that are kept beside it
   */
  record InOnePiece(ModelVariable variable, Operand<?> operand) implements StateVariable {

    @Override
    public String name() {
      return variable.name();
    }

    @Override
    public String key() {
      return variable.key();
    }

    @Override
    public Shape shape() {
      return variable.shape();
    }

    @Override
    public DataType dtype() {
      return variable.dtype();
    }

    private boolean isResource() {
      return variable.handle().op().type().equals("VarHandleOp");
    }

    private RawVariable resource() {
      return new RawVariable(variable.handle(), dtype());
    }

    @Override
    public Cell cell(Ops tf) {
      return isResource()
          ? Cell.resource(tf, resource(), shape())
          : Cell.reference(tf, variable.handle(), dtype());
    }

    @Override
    public Output<?> copy(Ops tf) {
      return isResource() ? resource().read(tf) : tf.deepCopy(variable.handle()).asOutput();
    }
  }

  /** A variable that has no place but that of its shards. */
  record InShards<T extends TNumber>(ShardedVariable<T> operand) implements StateVariable {

    @Override
    public String name() {
      return operand.name();
    }

    @Override
    public String key() {
      return operand.key();
    }

    @Override
    public Shape shape() {
      return operand.sharding().shape();
    }

    @Override
    public DataType dtype() {
      return operand.asOutput().dataType();
    }

    @Override
    @SuppressWarnings("unchecked") // A cell takes values of its own type.
    public Cell cell(Ops tf) {
      return new Cell(
          operand.asOutput(),
          shape(),
          Optional.of(
              new Cell.Destination(
                  dtype(), (there, value) -> operand.assign(there, (Output<T>) value))));
    }

    @Override
    public Output<?> copy(Ops tf) {
      return tf.deepCopy(operand.read(tf)).asOutput();
    }
  }
}
