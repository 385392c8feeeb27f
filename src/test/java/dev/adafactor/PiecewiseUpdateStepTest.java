package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.framework.constraints.NonNeg;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

class PiecewiseUpdateStepTest {

  private static final int STEPS = 3;

  /** For blocks of 65,536 elements of float32. */
  private static final long LITTLE = 1 << 20;

  private static final long LONG_AXIS = 2_000;

  private static final long PLENTY = 1L << 40;

  /** Variables, and optimizers that take steps with random gradients. */
  private static final class Training implements AutoCloseable {
    private final VariableKind kind;
    private final Graph graph = new Graph();
    private final Ops tf = Ops.create(graph);
    private final List<Op> steps = new ArrayList<>();
    private final List<Operand<TFloat64>> results = new ArrayList<>();
    private final List<Operand<TFloat64>> statistics = new ArrayList<>();
    private int variables;

    Training(VariableKind kind) {
      this.kind = kind;
    }

    <T extends TNumber> Operand<T> normal(Class<T> type, long seed, Shape shape) {
      return tf.dtypes.cast(
          tf.random.statelessRandomNormal(
              tf.constant(shape.asArray()), tf.constant(new long[] {seed, 7}), TFloat32.class),
          type);
    }

    <T extends TNumber> Output<? extends TType> variable(Operand<T> start) {
      return kind.create(tf, "w" + variables++, start);
    }

    @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
    <T extends TNumber> GradAndVar<? extends TType> dense(
        Operand<T> gradient, Output<? extends TType> variable) {
      return new GradAndVar<>(gradient.asOutput(), (Output<T>) (Output<?>) variable);
    }

    /** Adds a step; the variables after it, all of their state and statistics are results. */
    void step(UnaryOperator<Adafactor.Builder> arguments, List<GradAndVar<? extends TType>> pairs) {
      Adafactor adafactor = arguments.apply(Adafactor.builder(graph).learningRate(0.1)).build();
      steps.add(adafactor.applyGradients(pairs, "train" + steps.size()));
      for (GradAndVar<? extends TType> pair : pairs) {
        Output<? extends TType> variable = pair.getVariable();
        Class<? extends TNumber> type = adafactor.statistics(variable).alpha().type();
        results.add(wide(kind.read(tf, variable, type)));
        for (String slot : List.of(Adafactor.R, Adafactor.C, Adafactor.V, Adafactor.AVERAGE)) {
          adafactor.getSlot(typed(variable), slot).ifPresent(state -> results.add(wide(state)));
        }
        statistics.add(wide(adafactor.statistics(variable).updateRms()));
        statistics.add(wide(adafactor.statistics(variable).variableRms()));
        statistics.add(wide(adafactor.statistics(variable).alpha()));
        statistics.add(wide(adafactor.statistics(variable).clipping()));
      }
    }

    private Operand<TFloat64> wide(Operand<? extends TNumber> x) {
      return tf.dtypes.cast(x, TFloat64.class);
    }

    @SuppressWarnings("unchecked")
    private static Output<TNumber> typed(Output<?> variable) {
      return (Output<TNumber>) variable;
    }

    /** Takes all steps some times; gives the statistics of each time, then the results. */
    List<double[]> run() {
      List<double[]> all = new ArrayList<>();
      try (Session session = new Session(graph)) {
        for (int t = 0; t < STEPS; t++) {
          Session.Runner runner = session.runner();
          steps.forEach(runner::addTarget);
          statistics.forEach(runner::fetch);
          try (Result fetched = runner.run()) {
            fetched.forEach(each -> all.add(Elements.copy((TFloat64) each.getValue())));
          }
        }
        results.forEach(result -> all.add(Elements.of(session, result)));
      }
      return all;
    }

    @Override
    public void close() {
      graph.close();
    }
  }

  private static void assertClose(
      List<double[]> expected, List<double[]> actual, Class<? extends TNumber> type, Shape shape) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      Elements.assertClose(expected.get(i), actual.get(i), tolerance(type, shape));
    }
  }

  /** As sums need it whose numbers are added in another order: in thin shapes up to 90,000. */
  private static double tolerance(Class<? extends TNumber> type, Shape shape) {
    if (type == TFloat64.class) {
      return 1e-13;
    }
    return LongStream.of(shape.asArray()).anyMatch(axis -> axis >= LONG_AXIS) ? 3e-5 : 1e-5;
  }

  @Provide
  Arbitrary<Class<? extends TNumber>> types() {
    return Arbitraries.of(TFloat32.class, TFloat64.class);
  }

  @Provide
  Arbitrary<Shape> shapes() {
    Arbitrary<Long> few = Arbitraries.longs().between(1, 3);
    Arbitrary<Long> some = Arbitraries.longs().between(1, 350);
    Arbitrary<Long> many = Arbitraries.longs().between(LONG_AXIS, 90_000);
    return Arbitraries.oneOf(
        Combinators.combine(many, few).as(Shape::of),
        Combinators.combine(few, many).as(Shape::of),
        Combinators.combine(some, Arbitraries.longs().between(200, 700)).as(Shape::of),
        Combinators.combine(few, some, some).as(Shape::of),
        Combinators.combine(few, few, some, some).as(Shape::of));
  }

  @Property(tries = 25)
  void blocksGiveWhatOnePieceGives(
      @ForAll VariableKind kind,
      @ForAll("types") Class<? extends TNumber> type,
      @ForAll("shapes") Shape shape,
      @ForAll boolean everything,
      @ForAll int seed) {
    List<List<double[]>> runs = new ArrayList<>();
    for (long bytes : List.of(PLENTY, LITTLE)) {
      try (Training training = new Training(kind)) {
        Output<? extends TType> variable = training.variable(training.normal(type, seed, shape));
        UnaryOperator<Adafactor.Builder> arguments =
            b ->
                everything
                    ? b.weightDecay(0.1).useEma(true).clipnorm(2).constraint(variable, new NonNeg())
                    : b;
        training.step(
            b -> arguments.apply(b).transientBytes(bytes),
            List.of(training.dense(training.normal(type, seed + 1L, shape), variable)));
        runs.add(training.run());
      }
    }
    assertClose(runs.get(0), runs.get(1), type, shape);
  }

  @Property(tries = 25)
  void sparseGradientsGiveWhatTheirSumGives(
      @ForAll VariableKind kind,
      @ForAll("types") Class<? extends TNumber> type,
      @ForAll("shapes") Shape shape,
      @ForAll @IntRange(min = 0, max = 500) int rows,
      @ForAll int seed) {
    try (Training sparse = new Training(kind);
        Training dense = new Training(kind)) {
      addSparse(sparse, type, shape, rows, seed);
      addSum(dense, type, shape, rows, seed);
      assertClose(dense.run(), sparse.run(), type, shape);
    }
  }

  /** Some are negative and do not count, and many are there twice. */
  private static Operand<TInt32> indices(Ops tf, Shape shape, int rows, int seed) {
    return tf.random.statelessRandomUniformInt(
        tf.array(rows),
        tf.array(seed, 3),
        tf.constant(-1),
        tf.constant(Math.toIntExact(Math.min(shape.get(0), 200))));
  }

  private static <T extends TNumber> void addSparse(
      Training training, Class<T> type, Shape shape, int rows, int seed) {
    Operand<T> values = training.normal(type, seed, shape.tail().prepend(rows));
    Operand<TInt32> indices = indices(training.tf, shape, rows, seed);
    training.step(
        b -> b.transientBytes(LITTLE),
        List.of(
            new IndexedSlices<>(values, indices)
                .of(training.variable(training.normal(type, seed + 1L, shape)))));
  }

  private static <T extends TNumber> void addSum(
      Training training, Class<T> type, Shape shape, int rows, int seed) {
    Ops tf = training.tf;
    Operand<T> values = training.normal(type, seed, shape.tail().prepend(rows));
    Operand<T> sum =
        tf.math.unsortedSegmentSum(
            values, indices(tf, shape, rows, seed), tf.constant(Math.toIntExact(shape.get(0))));
    training.step(
        b -> b.transientBytes(PLENTY),
        List.of(training.dense(sum, training.variable(training.normal(type, seed + 1L, shape)))));
  }

  @Property(tries = 12)
  void stacksGiveWhatEachVariableGivesAlone(
      @ForAll VariableKind kind,
      @ForAll("types") Class<? extends TNumber> type,
      @ForAll @IntRange(min = 0, max = 4) int rank,
      @ForAll @IntRange(min = 2, max = 9) int count,
      @ForAll boolean decays,
      @ForAll int seed) {
    Shape shape = Shape.of(2, 3, 5, 4).takeLast(rank);
    UnaryOperator<Adafactor.Builder> arguments = b -> decays ? b.weightDecay(0.1).useEma(true) : b;
    try (Training together = new Training(kind);
        Training alone = new Training(kind)) {
      together.step(arguments, pairs(together, type, shape, count, seed));
      pairs(alone, type, shape, count, seed).forEach(pair -> alone.step(arguments, List.of(pair)));
      assertClose(alone.run(), together.run(), type, shape);
    }
  }

  private static <T extends TNumber> List<GradAndVar<? extends TType>> pairs(
      Training training, Class<T> type, Shape shape, int count, int seed) {
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      pairs.add(
          training.dense(
              training.normal(type, seed + 2 * i, shape),
              training.variable(training.normal(type, seed + 2 * i + 1, shape))));
    }
    return pairs;
  }

  @Example
  void anIndexBeyondTheRowsFailsTheStep() {
    for (VariableKind kind : VariableKind.values()) {
      try (Training training = new Training(kind)) {
        Ops tf = training.tf;
        training.step(
            b -> b,
            List.of(
                new IndexedSlices<>(
                        training.normal(TFloat32.class, 1, Shape.of(2, 3)), tf.array(1, 4))
                    .of(training.variable(training.normal(TFloat32.class, 2, Shape.of(4, 3))))));
        String message = assertThrows(TFInvalidArgumentException.class, training::run).getMessage();
        assertTrue(message.contains("an index beyond the 4 rows of variable "), message);
      }
    }
  }

  /** In wide rows, which are a block each: a lost write would show. */
  @Example
  void negativeIndicesDoNotDisturbTheFirstRow() {
    Shape shape = Shape.of(4, 90_000);
    int[] rows = {-1, 0, -2, 1, 0};
    for (VariableKind kind : VariableKind.values()) {
      List<List<double[]>> runs = new ArrayList<>();
      for (boolean sparse : List.of(false, true)) {
        try (Training training = new Training(kind)) {
          Ops tf = training.tf;
          Operand<TFloat32> values =
              training.normal(TFloat32.class, 1, shape.tail().prepend(rows.length));
          Output<? extends TType> variable =
              training.variable(training.normal(TFloat32.class, 2, shape));
          training.step(
              b -> b.transientBytes(LITTLE),
              List.of(
                  sparse
                      ? new IndexedSlices<>(values, tf.constant(rows)).of(variable)
                      : training.dense(
                          tf.math.unsortedSegmentSum(values, tf.constant(rows), tf.constant(4)),
                          variable)));
          runs.add(training.run());
        }
      }
      assertClose(runs.get(0), runs.get(1), TFloat32.class, shape);
    }
  }

  @Example
  void aSparseGradientHasNoMoreBlocksThanRows() {
    assertEquals(sparseOperations(Shape.of(50, 60_000)), sparseOperations(Shape.of(50, 2_000_000)));
  }

  private static int sparseOperations(Shape shape) {
    try (Training training = new Training(VariableKind.RESOURCE)) {
      Ops tf = training.tf;
      training.step(
          b -> b.transientBytes(LITTLE),
          List.of(
              new IndexedSlices<>(
                      training.normal(TFloat32.class, 1, shape.tail().prepend(5)),
                      tf.array(0, 1, 2, 3, 4))
                  .of(training.variable(training.normal(TFloat32.class, 2, shape)))));
      int count = 0;
      for (Iterator<?> all = training.graph.operations(); all.hasNext(); all.next()) {
        count++;
      }
      return count;
    }
  }

  /** As those of a function whose shapes are not inferred. */
  @Example
  void sparseValuesMayBeOfUnknownShape() {
    Shape shape = Shape.of(6, 3);
    List<List<double[]>> runs = new ArrayList<>();
    for (boolean known : List.of(true, false)) {
      try (Training training = new Training(VariableKind.RESOURCE)) {
        Ops tf = training.tf;
        Operand<TFloat32> values = training.normal(TFloat32.class, 1, Shape.of(4, 3));
        Operand<TInt32> indices = tf.array(1, 5, 1, 0);
        training.step(
            b -> b.clipnorm(0.5),
            List.of(
                new IndexedSlices<>(
                        known ? values : tf.placeholderWithDefault(values, Shape.unknown()),
                        known ? indices : tf.placeholderWithDefault(indices, Shape.unknown()))
                    .of(training.variable(training.normal(TFloat32.class, 2, shape)))));
        runs.add(training.run());
      }
    }
    assertClose(runs.get(0), runs.get(1), TFloat32.class, shape);
  }

  /** Only built: it would take 36 GB. */
  @Example
  void moreRowsThan32BitsCountAreOnePiece() {
    Shape shape = Shape.of(3_000_000_000L, 1);
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Output<? extends TType> variable = tf.varHandleOp(TFloat32.class, shape).asOutput();
      Operand<TFloat32> value = tf.readVariableOp(variable, TFloat32.class);
      Adafactor adafactor = new Adafactor(graph);
      adafactor.minimize(tf.nn.l2Loss(value), List.of(variable));
      assertEquals(shape, adafactor.secondMoment(variable).shape());
    }
  }
}
