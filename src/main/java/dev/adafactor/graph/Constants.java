package dev.adafactor.graph;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The constants of one scope of a graph, each added once: a graph with thousands of variables
 * spends its time on building them otherwise. Not thread-safe, as the building of graphs.
 */
public final class Constants {

  private final Ops ops;
  private final Map<List<?>, Operand<?>> known = new HashMap<>();

  /**
   * @param ops where the constants are added
   */
  public Constants(Ops ops) {
    this.ops = ops;
  }

  /** Where the constants are added. */
  public Ops ops() {
    return ops;
  }

  /** A number, rounded once to the type (to float32 first for types narrower than that). */
  public <T extends TNumber> Operand<T> number(Class<T> type, double value) {
    return once(() -> add(type, value), "number", type, value);
  }

  @SuppressWarnings("unchecked") // Each branch is of the type it has found.
  private <T extends TNumber> Operand<T> add(Class<T> type, double value) {
    if (type == TFloat64.class) {
      return (Operand<T>) ops.constant(value);
    }
    return type == TFloat32.class
        ? (Operand<T>) ops.constant((float) value)
        : ops.dtypes.cast(ops.constant(value), type);
  }

  /** Indices of axes. */
  public Operand<TInt32> axes(int... axes) {
    return once(() -> ops.constant(axes), "axes", IntStream.of(axes).boxed().toList());
  }

  /** An integer, as the index of an axis. */
  public Operand<TInt32> integer(int value) {
    return once(() -> ops.constant(value), "integer", value);
  }

  /** The indices of all axes of a tensor. */
  public Operand<TInt32> allAxes(Operand<?> x) {
    return axes(IntStream.range(0, x.shape().numDimensions()).toArray());
  }

  /** A shape. */
  public Operand<TInt64> shape(Shape shape) {
    return once(() -> ops.constant(shape.asArray()), "shape", shape);
  }

  /** A shape whose dimensions fit into 32 bits. */
  public Operand<TInt32> ints(Shape shape) {
    return once(
        () -> ops.constant(LongStream.of(shape.asArray()).mapToInt(Math::toIntExact).toArray()),
        "ints",
        shape);
  }

  /** The integers from one to before another. */
  public Operand<TInt32> range(int start, int end) {
    return once(() -> ops.range(integer(start), integer(end), integer(1)), "range", start, end);
  }

  /** A tensor whose elements are all the same. */
  public <T extends TNumber> Operand<T> filled(Class<T> type, Shape shape, double value) {
    return once(() -> ops.fill(shape(shape), number(type, value)), "filled", type, shape, value);
  }

  @SuppressWarnings("unchecked") // The key holds all on which the type depends.
  private <T extends TType> Operand<T> once(Supplier<Operand<T>> constant, Object... key) {
    List<?> listed = List.of(key);
    Operand<T> operand = (Operand<T>) known.get(listed);
    if (operand == null) {
      operand = constant.get();
      known.put(listed, operand);
    }
    return operand;
  }
}
