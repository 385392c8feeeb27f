package dev.adafactor.bench;

import dev.adafactor.IndexedSlices;
import dev.adafactor.graph.Group;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

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
   * @param value the whole
   * @param pair what an optimizer takes
   */
  record Trained(
      Parameter parameter, Operand<? extends TNumber> value, GradAndVar<? extends TType> pair) {}

  private final Ops tf;
  private final Keeping keeping;
  private final List<Trained> all = new ArrayList<>();
  private final List<Op> assignments = new ArrayList<>();
  private final List<Long> assignedElements = new ArrayList<>();

  private final Operand<TInt32> one;
  private final Operand<TFloat32> scale;

  Variables(
      Graph graph, Class<? extends TNumber> type, Keeping keeping, List<Parameter> parameters) {
    this.tf = Ops.create(graph);
    this.keeping = keeping;
    this.one = tf.constant(1);
    this.scale = tf.constant((float) SCALE);
    parameters.forEach(parameter -> add(parameter, type));
  }

  List<Trained> all() {
    return all;
  }

  /** What an optimizer takes. */
  List<GradAndVar<? extends TType>> pairs() {
    return all.stream().<GradAndVar<? extends TType>>map(Trained::pair).toList();
  }

  private <T extends TNumber> void add(Parameter parameter, Class<T> type) {
    int first = all.size() * FIRST_STEP % FIRST_MODULUS;
    String name = "variable_" + all.size();
    Keeping.Kept<T> variable =
        keeping.variable(tf, name, numbers(type, first, parameter.shape(), VALUE_A, VALUE_B));
    assigned(variable.assignments(), parameter.shape());
    Shape shape = parameter.gradientShape();
    Operand<T> gradient = numbers(type, first, shape, GRADIENT_A, GRADIENT_B);
    all.add(
        new Trained(
            parameter,
            variable.value(),
            parameter.gradientRows().isPresent()
                ? sparse(name, parameter, gradient, variable)
                : dense(name, gradient, variable)));
  }

  private <T extends TNumber> GradAndVar<? extends TType> dense(
      String name, Operand<T> initial, Keeping.Kept<T> variable) {
    Keeping.KeptGradient gradient = keeping.gradient(tf, name + "_gradient", initial, variable);
    assigned(gradient.assignments(), initial.shape());
    return gradient.pair();
  }

  private <T extends TNumber> GradAndVar<? extends TType> sparse(
      String name, Parameter parameter, Operand<T> initial, Keeping.Kept<T> variable) {
    Keeping.Kept<T> values = InOnePiece.resource(tf, name + "_gradient", initial);
    assigned(values.assignments(), initial.shape());
    int[] indices = rows(parameter.shape().get(0), parameter.gradientRows().orElseThrow());
    Keeping.Kept<TInt32> rows = InOnePiece.resource(tf, name + "_rows", tf.constant(indices));
    assigned(rows.assignments(), Shape.of(indices.length));
    return new IndexedSlices<>(values.value(), rows.value()).of(variable.variable());
  }

  private void assigned(List<Op> writes, Shape shape) {
    assignments.add(Group.of(tf, writes));
    assignedElements.add(shape.size());
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
        session.run(Group.of(tf, some));
        some.clear();
        elements = 0;
      }
    }
  }
}
