package dev.adafactor.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * An operation that looks rows of a variable up. TensorFlow's own gradient of one is as large as
 * the variable; the gradient by the rows is all that there is in it.
 */
record RowGather(GraphOperation op) {

  /** Operations that hand a variable, or all of its elements, on. */
  private static final Set<String> PASSING = Set.of("Cast", "Identity", "ReadVariableOp");

  /** Operations through which no gradient comes back. */
  private static final Set<String> BLOCKING =
      Set.of(Gradients.STOP_GRADIENT, "Rank", "Shape", "Size", "VariableShape");

  /** Operations that put the parts of a variable together. */
  private static final Set<String> JOINING = Set.of("ConcatV2", "Identity");

  /**
   * Whether a loss follows from the parts of a variable only by what they are put together to.
   *
   * @param wholes what they are put together to
   * @param reached the operations that the loss is computed from
   */
  static boolean meetsOnly(
      Collection<Output<?>> wholes,
      Collection<Output<?>> parts,
      Set<GraphOperation> reached,
      Output<?> loss) {
    Set<Output<?>> passed = new HashSet<>(wholes);
    Deque<Output<?>> next = new ArrayDeque<>(parts);
    while (!next.isEmpty()) {
      Output<?> part = next.remove();
      if (!passed.add(part)) {
        continue;
      }
      if (part.equals(loss)) {
        return false;
      }
      for (GraphOperation user : ((GraphOperation) part.op()).consumers(part.index())) {
        if (!reached.contains(user) || BLOCKING.contains(user.type())) {
          continue;
        }
        if (!JOINING.contains(user.type())) {
          return false;
        }
        next.add(user.output(0));
      }
    }
    return true;
  }

  /**
   * The gathers by which alone a loss follows from a variable.
   *
   * @param handles of the variable, or what it is put together to
   * @param reached the operations that the loss is computed from
   * @return empty if it follows in other ways, too
   */
  static Optional<List<RowGather>> all(
      Collection<Output<?>> handles, Set<GraphOperation> reached, Output<?> loss) {
    List<RowGather> gathers = new ArrayList<>();
    Set<GraphOperation> passed = new HashSet<>();
    Deque<Output<?>> whole = new ArrayDeque<>(handles);
    while (!whole.isEmpty()) {
      Output<?> table = whole.remove();
      if (table.equals(loss)) {
        return Optional.empty();
      }
      for (GraphOperation user : ((GraphOperation) table.op()).consumers(table.index())) {
        if (!reached.contains(user) || BLOCKING.contains(user.type())) {
          continue;
        }
        if (isOne(user)) {
          gathers.add(new RowGather(user));
        } else if (!PASSING.contains(user.type()) || !isFloating(user)) {
          return Optional.empty();
        } else if (passed.add(user)) {
          whole.add(user.output(0));
        }
      }
    }
    return gathers.isEmpty() ? Optional.empty() : Optional.of(List.copyOf(gathers));
  }

  private static boolean isFloating(GraphOperation passing) {
    return !passing.type().equals("Cast") || VariableView.isFloating(passing.output(0).dataType());
  }

  private static boolean isOne(GraphOperation op) {
    return switch (op.type()) {
      case "Gather" -> true;
      case "GatherV2" -> isZero(op.input(2).op()) && op.attributes().getAttrInt("batch_dims") == 0;
      case "ResourceGather" -> op.attributes().getAttrInt("batch_dims") == 0;
      case "GatherNd", "ResourceGatherNd" -> areRowNumbers(op.input(1).shape());
      default -> false;
    };
  }

  /** Whether indices into several dimensions are into the first alone; as Python tells it. */
  private static boolean areRowNumbers(Shape indices) {
    return !indices.isUnknown() && indices.numDimensions() == 2 && indices.get(1) == 1;
  }

  private static boolean isZero(Operation axis) {
    if (!axis.type().equals("Const")) {
      return false;
    }
    TensorProto value = ((GraphOperation) axis).attributes().getAttrValueProto("value").getTensor();
    byte[] content = value.getTensorContent().toByteArray();
    return value.getIntValList().stream().allMatch(v -> v == 0)
        && value.getInt64ValList().stream().allMatch(v -> v == 0)
        && Arrays.equals(content, new byte[content.length]);
  }

  /** What the loss is to be differentiated by. */
  Output<?> rows() {
    return op.output(0);
  }

  /** The gradient by the rows, of shape {@code [k] + table.shape[1:]} and the table's type. */
  Operand<? extends TNumber> values(Ops tf, Output<?> gradient, Origin table) {
    long[] shape = table.shape().asArray();
    shape[0] = count();
    // The gather fails where an index is none of the table's: nothing may be changed then.
    Ops checked = tf.withControlDependencyOps(List.<Operation>of(op));
    Operand<?> values = checked.reshape(gradient, tf.constant(shape));
    return gradient.type().equals(table.type())
        ? number(values)
        : tf.dtypes.cast(values, table.type());
  }

  /** The row of each of the values, of shape {@code [k]}. */
  Operand<? extends TNumber> indices(Ops tf) {
    Operand<? extends TNumber> indices = number(op.input(1));
    Operand<? extends TNumber> flat = tf.reshape(indices, tf.constant(new long[] {count()}));
    return flat.type() == TInt32.class || flat.type() == TInt64.class
        ? flat
        : tf.dtypes.cast(flat, TInt32.class);
  }

  /** How many rows it looks up; -1 if that is not known. */
  private long count() {
    Shape indices = op.input(1).shape();
    return indices.isUnknown() || indices.hasUnknownDimension() ? -1 : indices.size();
  }

  @SuppressWarnings("unchecked") // Indices, and gradients of floats.
  private static Operand<? extends TNumber> number(Operand<?> operand) {
    return (Operand<? extends TNumber>) operand;
  }
}
