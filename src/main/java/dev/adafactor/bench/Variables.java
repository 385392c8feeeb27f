package dev.adafactor.bench;

import dev.adafactor.graph.RawVariable;
import dev.adafactor.parity.VariableKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * Variables and their gradients in a graph. The gradients are variables, too, whose value a step
 * reads: constants would be computed with beforehand, and what is fed is copied. They are resource
 * variables, since the optimizer copies gradients that are the memory of a reference variable.
 *
 * <p>All begin with numbers that every peer computes the same way: of the index i, a 32-bit integer
 * without a sign, i · (i · b + a) as one with a sign, times 2^-32.
 */
final class Variables {
  private static final int VALUE_A = 0x9E3779B1;
  private static final int VALUE_B = 0x2C1B3C6C;
  private static final int GRADIENT_A = 0x85EBCA6B;
  private static final int GRADIENT_B = 0xC2B2AE34;
  private static final double SCALE = 0x1p-32;

  /** The first index of a variable follows from its number. */
  private static final int FIRST_STEP = 7919;

  private static final int FIRST_MODULUS = 1 << 20;

  /** Elements that are made in one run: what they are made from takes memory, too. */
  private static final long RUN_ELEMENTS = 1L << 26;

  /**
   * A variable of the graph.
   *
   * @param variable output of a {@code VariableV2} or handle of a {@code VarHandleOp}
   * @param value it as an operand
   * @param gradient what to update it with
   * @param rows of the variable, one for each row of the gradient; empty if it is dense
   */
  record Trained(
      Parameter parameter,
      Output<?> variable,
      Operand<? extends TNumber> value,
      Operand<? extends TNumber> gradient,
      Optional<Operand<TInt32>> rows) {}

  private record Stored<N extends TNumber>(Output<?> variable, Operand<N> value, Op assign) {}

  private final Ops tf;
  private final VariableKind kind;
  private final List<Trained> all = new ArrayList<>();
  private final List<Op> assignments = new ArrayList<>();
  private final List<Long> assignedElements = new ArrayList<>();

  private final Operand<TInt32> one;
  private final Operand<TFloat32> scale;

  Variables(
      Graph graph, Class<? extends TNumber> type, VariableKind kind, List<Parameter> parameters) {
    this.tf = Ops.create(graph);
    this.kind = kind;
    this.one = tf.constant(1);
    this.scale = tf.constant((float) SCALE);
    parameters.forEach(parameter -> add(parameter, type));
  }

  List<Trained> all() {
    return all;
  }

  private <T extends TNumber> void add(Parameter parameter, Class<T> type) {
    int first = all.size() * FIRST_STEP % FIRST_MODULUS;
    String name = "variable_" + all.size();
    Stored<T> value =
        store(
            kind,
            name,
            type,
            numbers(type, first, parameter.shape(), VALUE_A, VALUE_B),
            parameter.shape());
    Shape shape = parameter.gradientShape();
    Stored<T> gradient =
        store(
            VariableKind.RESOURCE,
            name + "_gradient",
            type,
            numbers(type, first, shape, GRADIENT_A, GRADIENT_B),
            shape);
    Optional<Operand<TInt32>> rows = Optional.empty();
    if (parameter.gradientRows().isPresent()) {
      int[] indices = rows(parameter.shape().get(0), parameter.gradientRows().getAsInt());
      rows =
          Optional.of(
              store(
                      VariableKind.RESOURCE,
                      name + "_rows",
                      TInt32.class,
                      tf.constant(indices),
                      Shape.of(indices.length))
                  .value());
    }
    all.add(new Trained(parameter, value.variable(), value.value(), gradient.value(), rows));
  }

  private <N extends TNumber> Stored<N> store(
      VariableKind kind, String name, Class<N> type, Operand<N> initial, Shape shape) {
    Stored<N> stored =
        switch (kind) {
          case REFERENCE -> {
            Variable<N> variable = tf.withName(name).variable(shape, type);
            yield new Stored<>(
                variable.asOutput(), tf.identity(variable), tf.assign(variable, initial));
          }
          case RESOURCE -> {
            RawVariable variable =
                RawVariable.create(tf, name, initial.asOutput().dataType(), shape);
            yield new Stored<>(
                variable.handle(), variable.read(tf).expect(type), variable.assign(tf, initial));
          }
        };
    assignments.add(stored.assign());
    assignedElements.add(shape.size());
    return stored;
  }

  private <T extends TNumber> Operand<T> numbers(
      Class<T> type, int first, Shape shape, int a, int b) {
    int end = Math.toIntExact(first + shape.size());
    Operand<TInt32> i = tf.range(tf.constant(first), tf.constant(end), one);
    Operand<TInt32> bits =
        tf.math.mul(i, tf.math.add(tf.math.mul(i, tf.constant(b)), tf.constant(a)));
    Operand<TFloat32> flat = tf.math.mul(tf.dtypes.cast(bits, TFloat32.class), scale);
    return tf.dtypes.cast(tf.reshape(flat, tf.constant(shape.asArray())), type);
  }

  /** Rows like words of a text, some more often than others. */
  private static int[] rows(long of, int count) {
    int[] rows = new int[count];
    for (int i = 0; i < count; i++) {
      double u = Integer.toUnsignedLong(i * VALUE_A) * SCALE;
      rows[i] = (int) (of * (u * u));
    }
    return rows;
  }

  /** Gives variables and gradients their values. */
  void initialize(Session session) {
    List<Op> some = new ArrayList<>();
    long elements = 0;
    for (int i = 0; i < assignments.size(); i++) {
      some.add(assignments.get(i));
      elements += assignedElements.get(i);
      if (elements > RUN_ELEMENTS || i == assignments.size() - 1) {
        session.run(tf.withControlDependencies(some).noOp());
        some.clear();
        elements = 0;
      }
    }
  }
}
