package dev.adafactor.graph;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * A trainable variable of either kind, reference ({@code VariableV2}) or resource ({@code
 * VarHandleOp}), behind one set of operations.
 *
 * @param <T> the type of the variable's elements
 */
public abstract sealed class VariableView<T extends TNumber>
    permits ReferenceVariable, ResourceVariable {

  /** The attribute of an operation that holds a part of a variable: the variable's name. */
  public static final String SHARD_OF = "_shard_of";

  /** The attribute of the operation that puts a variable in parts together: its name. */
  public static final String WHOLE_OF = "_whole_of";

  private static final Set<DataType> FLOATING =
      Set.of(DataType.DT_FLOAT, DataType.DT_DOUBLE, DataType.DT_HALF, DataType.DT_BFLOAT16);

  private final GraphOperation op;
  private final DataType dataType;
  private final Shape shape;
  private final String name;

  VariableView(GraphOperation op, String name) {
    this.op = op;
    this.name = name;
    // The attributes, not the output: that of a VarHandleOp is a scalar of type resource.
    this.dataType = op.attributes().getAttrType("dtype");
    this.shape = op.attributes().getAttrShape("shape");
  }

  /**
   * Views the output of a {@code VariableV2} or the handle of a {@code VarHandleOp}.
   *
   * @param graph the graph that the variable must be of
   * @throws IllegalArgumentException if the operand is neither, or of another graph, or the
   *     variable's shape is not fully known, or its elements are not float16, bfloat16, float32 or
   *     float64
   */
  public static VariableView<? extends TNumber> of(Graph graph, Operand<?> variable) {
    Operation op = variable.asOutput().op();
    if (op.env() != graph) {
      throw new IllegalArgumentException(
          "variable '" + op.name() + "' is of another graph than the optimizer");
    }
    OperationAttributes.text((GraphOperation) op, WHOLE_OF)
        .ifPresent(
            name -> {
              throw new IllegalArgumentException(
                  ("'%s' is the whole of sharded variable '%s', which only Adafactor trains: give"
                          + " that the ShardedVariable")
                      .formatted(variable.asOutput().name(), name));
            });
    if (!isVariable(op)) {
      throw new IllegalArgumentException(
          "'"
              + variable.asOutput().name()
              + "' is the output of a "
              + op.type()
              + ", not a variable: give the output of a VariableV2 or the handle of a VarHandleOp");
    }
    VariableView<? extends TNumber> view = create((GraphOperation) op);
    if (!FLOATING.contains(view.dataType)) {
      throw new IllegalArgumentException(
          "variable '"
              + view.name
              + "' is of type "
              + view.dataType
              + ": only float16, bfloat16, float32 and float64 can be trained");
    }
    if (view.shape.hasUnknownDimension() || view.shape.isUnknown()) {
      throw new IllegalArgumentException(
          "variable '"
              + view.name
              + "' has shape "
              + view.shape
              + ": every dimension must be known when the graph is built");
    }
    return view;
  }

  static VariableView<? extends TNumber> create(GraphOperation op) {
    return op.type().equals(ReferenceVariable.OP_TYPE)
        ? new ReferenceVariable<>(op)
        : new ResourceVariable<>(op);
  }

  /** Whether the operation holds a variable, of whatever element type and shape. */
  public static boolean isVariable(Operation op) {
    return op.type().equals(ReferenceVariable.OP_TYPE)
        || op.type().equals(ResourceVariable.OP_TYPE);
  }

  /** Whether it is a type of floats that variables can have. */
  public static boolean isFloating(DataType type) {
    return FLOATING.contains(type);
  }

  /** Whether the operation holds a variable that an optimizer can train. */
  static boolean isTrainable(Operation op) {
    return isVariable(op)
        && FLOATING.contains(((GraphOperation) op).attributes().getAttrType("dtype"));
  }

  /** The variable's name as Python's {@code variable.name} has it, without the {@code :0}. */
  public final String name() {
    return name;
  }

  /** What tells the variable from others: two handles of one shared name are one variable. */
  public abstract String key();

  /** {@link #key()} of a variable of any type and shape. */
  public static String key(Output<?> variable) {
    return create((GraphOperation) variable.op()).key();
  }

  /** {@link #name()} of a variable of any type and shape. */
  public static String name(Output<?> variable) {
    return create((GraphOperation) variable.op()).name();
  }

  public final Shape shape() {
    return shape;
  }

  public final DataType dataType() {
    return dataType;
  }

  /** TensorFlow's own name of a type of floats. */
  public static DataType dataType(Class<? extends TNumber> type) {
    if (type == TFloat16.class) {
      return DataType.DT_HALF;
    }
    if (type == TBfloat16.class) {
      return DataType.DT_BFLOAT16;
    }
    return type == TFloat64.class ? DataType.DT_DOUBLE : DataType.DT_FLOAT;
  }

  /** The same view, for where the type of its elements is known by other means. */
  @SuppressWarnings("unchecked")
  public static <T extends TNumber> VariableView<T> typed(VariableView<?> variable) {
    return (VariableView<T>) variable;
  }

  /** The type of the elements. */
  @SuppressWarnings("unchecked") // T stands for the type that the dtype attribute names.
  public final Class<T> type() {
    return (Class<T>)
        switch (dataType) {
          case DT_HALF -> TFloat16.class;
          case DT_BFLOAT16 -> TBfloat16.class;
          case DT_DOUBLE -> TFloat64.class;
          default -> TFloat32.class;
        };
  }

  /** The name of the variable that this is a part of; empty if it is a whole one. */
  public final Optional<String> shardOf() {
    return OperationAttributes.text(op, SHARD_OF);
  }

  /** The operation that holds the variable. */
  public final GraphOperation op() {
    return op;
  }

  /** The output of the {@code VariableV2} or the handle of the {@code VarHandleOp}. */
  public final Output<?> output() {
    return op.output(0);
  }

  final Graph graph() {
    return op.env();
  }

  /** The value now: at the moment at which what consumes it runs. */
  public abstract Operand<T> read(Ops tf);

  /** The value after a write that one of the methods below made. */
  public abstract Operand<T> readAfter(Ops tf, Op write);

  /** Sets the variable. */
  public abstract Op assign(Ops tf, Operand<T> value);

  /** Adds to the variable. */
  public abstract Op assignAdd(Ops tf, Operand<T> value);

  /** Subtracts from the variable. */
  public abstract Op assignSub(Ops tf, Operand<T> value);

  /** Subtracts {@code rate * direction} from the variable in one pass over memory. */
  public abstract Op applyGradientDescent(Ops tf, Operand<T> rate, Operand<T> direction);

  /** The value now, no copy either where rows were written or gathered. */
  public abstract Operand<T> share(Ops tf);

  /**
   * Subtracts from rows, the parts along the first axis. {@link #afterRows} must follow.
   *
   * @param rows of shape [count]
   * @param values of shape [count] + shape[1:]
   */
  public abstract Op subtractRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values);

  /**
   * Subtracts from the parts along several leading axes. {@link #afterRows} must follow.
   *
   * @param indices of shape [count, axes]
   * @param values of shape [count] + shape[axes:]
   */
  public abstract Op subtractAt(Ops tf, Operand<? extends TNumber> indices, Operand<T> values);

  /**
   * Sets rows, the parts along the first axis. {@link #afterRows} must follow.
   *
   * @param rows of shape [count]; what is named twice has the same values
   * @param values of shape [count] + shape[1:]
   */
  public abstract Op assignRows(Ops tf, Operand<? extends TNumber> rows, Operand<T> values);

  /** What comes behind all writes to rows: reading the variable costs no copy from then on. */
  public abstract Op afterRows(Ops tf, List<Op> writes);

  /**
   * The value with which a variable that follows this one starts: this variable's own value where
   * it has one already, else the value that its initializer will give it in the same run.
   *
   * @param init the scope for initializers
   */
  public abstract Operand<T> initialValue(Ops init);

  /**
   * The value that the graph's initializer writes to the variable, or null if there is no such
   * operation, as for variables restored from a SavedModel.
   */
  final Operand<T> initializerValue(String assignType) {
    for (GraphOperation consumer : op.consumers()) {
      if (consumer.type().equals(assignType)
          && graph().isInitializer(consumer)
          && consumer.inputs().get(0).op().equals(op)) {
        return typed(consumer.inputs().get(1));
      }
    }
    return null;
  }

  @SuppressWarnings("unchecked") // The graph has checked that the operand has the variable's type.
  private Operand<T> typed(Operand<?> operand) {
    return (Operand<T>) operand;
  }

  @Override
  public final boolean equals(Object other) {
    return other instanceof VariableView<?> that && that.key().equals(key());
  }

  @Override
  public final int hashCode() {
    return key().hashCode();
  }

  @Override
  public final String toString() {
    return name + " " + shape + " " + dataType;
  }
}
