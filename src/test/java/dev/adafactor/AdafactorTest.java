package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.schedules.ExponentialDecay;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.framework.constraints.MaxNorm;
import org.tensorflow.framework.constraints.MinMaxNorm;
import org.tensorflow.framework.constraints.NonNeg;
import org.tensorflow.framework.constraints.UnitNorm;
import org.tensorflow.framework.optimizers.Adam;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

class AdafactorTest {

  private static final ConfigProto THREADS =
      ConfigProto.newBuilder()
          .setInterOpParallelismThreads(8)
          .setIntraOpParallelismThreads(4)
          .build();

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private Output<? extends TType> variable(VariableKind kind, String name, float... elements) {
    return kind.create(tf, name, tf.constant(elements));
  }

  private static Operand<TFloat32> read(Ops tf, VariableKind kind, Output<? extends TType> w) {
    return kind.read(tf, w, TFloat32.class);
  }

  private Operand<TFloat32> halfSquare(VariableKind kind, Output<? extends TType> w) {
    return tf.nn.l2Loss(read(tf, kind, w));
  }

  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  private static GradAndVar<? extends TType> pair(
      Operand<? extends TType> gradient, Output<?> variable) {
    return new GradAndVar<>(
        gradient == null ? null : (Output<TType>) gradient.asOutput(), (Output<TType>) variable);
  }

  private double[] value(Session session, VariableKind kind, Output<? extends TType> w) {
    return doubles(session, read(tf, kind, w));
  }

  private double[] doubles(Session session, Operand<? extends TNumber> operand) {
    return Elements.of(session, tf.dtypes.cast(operand, TFloat64.class));
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }

  // Which variables are trained

  @ParameterizedTest
  @EnumSource
  void minimizesALoss(VariableKind kind) {
    Output<? extends TType> w =
        kind.create(tf, "dense/kernel", tf.constant(new float[][] {{3, -2}, {1, 5}}));
    Output<? extends TType> b = variable(kind, "dense/bias", 4, -4);
    Operand<TFloat32> loss = tf.math.add(halfSquare(kind, w), halfSquare(kind, b));
    Adafactor adafactor = Adafactor.builder(graph).learningRate(0.1).build();
    Op train = adafactor.minimize(loss);
    try (Session session = new Session(graph)) {
      double before = doubles(session, loss)[0];
      for (int i = 0; i < 50; i++) {
        session.run(train);
      }
      assertTrue(doubles(session, loss)[0] < before / 10);
      assertArrayEquals(new double[] {50}, doubles(session, adafactor.iterations()));
    }
  }

  @ParameterizedTest
  @EnumSource
  void trainsOnlyTheVariablesItIsGiven(VariableKind kind) {
    Output<? extends TType> a = variable(kind, "a", 1, 2);
    Output<? extends TType> b = variable(kind, "b", 3, 4);
    Operand<TFloat32> loss = tf.math.add(halfSquare(kind, a), halfSquare(kind, b));
    Op train = new Adafactor(graph).minimize(loss, List.of(b));
    try (Session session = new Session(graph)) {
      session.run(train);
      assertArrayEquals(new double[] {1, 2}, value(session, kind, a));
      assertTrue(value(session, kind, b)[0] < 3);
    }
  }

  @ParameterizedTest
  @EnumSource
  void variablesThatTheLossDoesNotFollowFromAreLeftAlone(VariableKind kind) {
    Output<? extends TType> a = variable(kind, "a", 1, 2);
    Output<? extends TType> metric = variable(kind, "metric/total", 7);
    kind.create(tf, "metric/count", tf.constant(3));
    Adafactor adafactor = new Adafactor(graph);
    Op train = adafactor.minimize(halfSquare(kind, a));
    // Now there are slots in the graph too.
    Op again = adafactor.minimize(halfSquare(kind, a), "again");
    try (Session session = new Session(graph)) {
      session.run(train);
      session.run(again);
      assertArrayEquals(new double[] {7}, value(session, kind, metric));
      assertArrayEquals(new double[] {2}, doubles(session, adafactor.iterations()));
    }
  }

  @Test
  void aLossOfNoVariableIsRefused() {
    variable(VariableKind.REFERENCE, "w", 1);
    assertRefused(
        "the loss 'loss:0' does not follow from any trainable variable",
        () -> new Adafactor(graph).minimize(tf.withName("loss").constant(1f)));
  }

  @ParameterizedTest
  @EnumSource
  void variablesWithoutAGradientAreNamedInAWarning(VariableKind kind) {
    Output<? extends TType> a = variable(kind, "a", 1);
    Output<? extends TType> b = variable(kind, "b", 2);
    Output<? extends TType> c = variable(kind, "c", 3);
    // What the native function returns for it is an output of no operation.
    Output<?> closed =
        graph.addGradients(tf.math.floor(read(tf, kind, c)).asOutput(), new Output<?>[] {c})[0];
    assertTrue(closed.isClosed());
    try (LogCapture log = new LogCapture(Adafactor.class);
        Session session = new Session(graph)) {
      Op train =
          new Adafactor(graph)
              .applyGradients(
                  List.of(pair(null, a), pair(tf.constant(new float[] {1}), b), pair(closed, c)),
                  "train");
      assertEquals(
          List.of(
              "WARNING Gradients do not exist for variables ['a', 'c'] when minimizing the loss."),
          log.messages());
      session.run(train);
      assertArrayEquals(new double[] {1}, value(session, kind, a));
      assertTrue(value(session, kind, b)[0] < 2);
    }
  }

  @Test
  void withoutAnyGradientThereIsNoStep() {
    Output<? extends TType> a = variable(VariableKind.REFERENCE, "a", 1);
    Output<? extends TType> b = variable(VariableKind.REFERENCE, "b", 1);
    assertRefused(
        "No gradients provided for any variable: ['a', 'b'].",
        () -> new Adafactor(graph).applyGradients(List.of(pair(null, a), pair(null, b)), "train"));
  }

  @Test
  void anEmptyListMakesAStepThatDoesNothing() {
    Adafactor adafactor = new Adafactor(graph);
    Op train = adafactor.applyGradients(List.of(), "train");
    try (Session session = new Session(graph)) {
      session.run(train);
      assertArrayEquals(new double[] {0}, doubles(session, adafactor.iterations()));
    }
  }

  // What is refused

  @Test
  void whatCannotBeTrainedIsRefusedByName() {
    Adafactor adafactor = new Adafactor(graph);
    Output<? extends TType> w = variable(VariableKind.RESOURCE, "dense/kernel", 1, 2);
    Output<? extends TType> integers =
        VariableKind.REFERENCE.create(tf, "steps", tf.constant(new int[] {1}));
    Output<? extends TType> unknown =
        tf.withName("unknown").variable(Shape.of(-1, 2), TFloat32.class).asOutput();
    Operand<TFloat32> two = tf.constant(new float[] {1, 2});

    assertRefused(
        "variable 'dense/kernel' is given twice; add its gradients up",
        () -> adafactor.applyGradients(List.of(pair(two, w), pair(two, w)), "train"));
    assertRefused(
        "the gradient of variable 'dense/kernel' has shape [3], it must be [2]",
        () ->
            adafactor.applyGradients(
                List.of(pair(tf.constant(new float[] {1, 2, 3}), w)), "train"));
    assertRefused(
        "the gradient of variable 'dense/kernel' is of type DT_DOUBLE, it must be DT_FLOAT",
        () ->
            adafactor.applyGradients(List.of(pair(tf.constant(new double[] {1, 2}), w)), "train"));
    assertRefused(
        "variable 'steps' is of type DT_INT32: only float16, bfloat16, float32 and float64 can be"
            + " trained",
        () -> adafactor.applyGradients(List.of(pair(two, integers)), "train"));
    assertRefused(
        "variable 'unknown' has shape [-1, 2]: every dimension must be known when the graph is"
            + " built",
        () -> adafactor.applyGradients(List.of(pair(two, unknown)), "train"));
    assertRefused(
        "'two:0' is the output of a Const, not a variable: give the output of a VariableV2 or the"
            + " handle of a VarHandleOp",
        () ->
            adafactor.applyGradients(
                List.of(pair(two, tf.withName("two").constant(1f).asOutput())), "train"));
    assertRefused(
        "a pair of gradient and variable has no variable",
        () -> adafactor.applyGradients(List.of(pair(two, null)), "train"));
  }

  @Test
  void twoHandlesOfOneVariableAreOneVariable() {
    Output<? extends TType> w = variable(VariableKind.RESOURCE, "w", 1);
    Output<? extends TType> same =
        tf.varHandleOp(TFloat32.class, Shape.of(1), VarHandleOp.sharedName("w")).asOutput();
    Operand<TFloat32> g = tf.constant(new float[] {1});
    assertRefused(
        "variable 'w' is given twice; add its gradients up",
        () -> new Adafactor(graph).applyGradients(List.of(pair(g, w), pair(g, same)), "train"));
  }

  @Test
  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  void gradientsThroughSeveralHandlesOfOneVariableAddUp() {
    Output<? extends TType> w = variable(VariableKind.RESOURCE, "w", 1, 3);
    Output<? extends TType> same =
        tf.varHandleOp(TFloat32.class, Shape.of(2), VarHandleOp.sharedName("w")).asOutput();
    Operand<TFloat32> loss =
        tf.math.add(halfSquare(VariableKind.RESOURCE, w), halfSquare(VariableKind.RESOURCE, same));
    Adafactor adafactor = new Adafactor(graph);
    List<GradAndVar<? extends TType>> pairs = adafactor.computeGradients(loss, List.of(w));
    Op train = adafactor.minimize(loss);
    try (Session session = new Session(graph)) {
      assertArrayEquals(
          new double[] {2, 6},
          doubles(session, (Output<TFloat32>) (Output<?>) pairs.get(0).getGradient()));
      session.run(train);
      assertArrayEquals(new double[] {1}, doubles(session, adafactor.iterations()));
    }
  }

  @Test
  void aVariableOfAnotherGraphIsRefused() {
    try (Graph other = new Graph()) {
      Output<? extends TType> foreign =
          VariableKind.REFERENCE.create(Ops.create(other), "w", Ops.create(other).constant(1f));
      String message = "variable 'w' is of another graph than the optimizer";
      assertRefused(
          message, () -> Adafactor.builder(graph).excludeFromWeightDecay(List.of(foreign)));
      assertRefused(message, () -> Adafactor.builder(graph).constraint(foreign, new NonNeg()));
    }
  }

  @Test
  void sparseGradientsOfTheWrongFormAreRefused() {
    Adafactor adafactor = new Adafactor(graph);
    Output<? extends TType> w =
        VariableKind.REFERENCE.create(tf, "table", tf.constant(new float[4][2]));
    Operand<TFloat32> rows = tf.constant(new float[3][2]);
    assertRefused(
        "the gradient of variable 'table' has shape [3, 2], it must be [2, 2]",
        () ->
            adafactor.applyGradients(
                List.of(new IndexedSlices<>(rows, tf.array(0, 1)).of(w)), "train"));
    assertRefused(
        "the indices of the sparse gradient of variable 'table' are of type DT_FLOAT, they must be"
            + " DT_INT32 or DT_INT64",
        () ->
            adafactor.applyGradients(
                List.of(new IndexedSlices<>(rows, tf.array(0f, 1f, 2f)).of(w)), "train"));
    assertRefused(
        "the indices of the sparse gradient of variable 'table' have shape [1, 3], they must have"
            + " one dimension",
        () ->
            adafactor.applyGradients(
                List.of(new IndexedSlices<>(rows, tf.constant(new int[1][3])).of(w)), "train"));
    Output<? extends TType> scalar = VariableKind.REFERENCE.create(tf, "s", tf.constant(1f));
    assertRefused(
        "variable 's' is a scalar: its gradient cannot be sparse",
        () ->
            adafactor.applyGradients(
                List.of(new IndexedSlices<>(rows, tf.array(0)).of(scalar)), "train"));
  }

  // Several optimizers, several steps

  @ParameterizedTest
  @EnumSource
  void optimizersDoNotSeeEachOthersState(VariableKind kind) {
    Output<? extends TType> w = variable(kind, "w", 1, 2);
    Operand<TFloat32> loss = halfSquare(kind, w);
    Adafactor first = Adafactor.builder(graph).name("my optimizer").build();
    Adafactor second = Adafactor.builder(graph).name("my optimizer").build();
    Op firstStep = first.minimize(loss);
    Op secondStep = second.minimize(loss);
    try (Session session = new Session(graph)) {
      session.run(firstStep);
      session.run(firstStep);
      session.run(secondStep);
      assertArrayEquals(new double[] {2}, doubles(session, first.iterations()));
      assertArrayEquals(new double[] {1}, doubles(session, second.iterations()));
      // Each has the square of the last gradient it saw in its average.
      assertNotEquals(
          doubles(session, slot(first, w, Adafactor.V))[0],
          doubles(session, slot(second, w, Adafactor.V))[0]);
    }
  }

  @SuppressWarnings("unchecked")
  private static Operand<TFloat32> slot(Adafactor adafactor, Output<?> variable, String name) {
    return adafactor.getSlot((Output<TFloat32>) variable, name).orElseThrow();
  }

  @Test
  void trainsBesideAnOptimizerOfTheFramework() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 1, 2);
    Output<? extends TType> u = variable(VariableKind.REFERENCE, "u", 1, 2);
    Adam adam = new Adam(graph, 0.1f);
    Op adamStep =
        adam.minimize(
            tf.math.add(
                halfSquare(VariableKind.REFERENCE, w), halfSquare(VariableKind.REFERENCE, u)));
    Optimizer adafactor = new Adafactor(graph);
    Op step = adafactor.minimize(halfSquare(VariableKind.REFERENCE, w));
    try (Session session = new Session(graph)) {
      session.run(step);
      double[] stepped = value(session, VariableKind.REFERENCE, w);
      assertTrue(stepped[0] < 1);
      assertArrayEquals(new double[] {1, 2}, value(session, VariableKind.REFERENCE, u));
      session.run(adamStep);
      assertTrue(value(session, VariableKind.REFERENCE, u)[0] < 1);
    }
  }

  @ParameterizedTest
  @EnumSource
  void stepsWithDifferentVariablesShareCounterAndSlots(VariableKind kind) {
    Output<? extends TType> a = variable(kind, "a", 1);
    Output<? extends TType> b = variable(kind, "b", 2);
    Output<? extends TType> c = variable(kind, "c", 3);
    Operand<TFloat32> g = tf.constant(new float[] {1});
    Adafactor adafactor = new Adafactor(graph);
    Op ab = adafactor.applyGradients(List.of(pair(g, a), pair(g, b)), "ab");
    Operand<TFloat32> slot = slot(adafactor, b, Adafactor.V);
    Op bc = adafactor.applyGradients(List.of(pair(g, b), pair(g, c)), "bc");
    assertEquals(slot.asOutput(), slot(adafactor, b, Adafactor.V).asOutput());
    try (Session session = new Session(graph)) {
      session.run(ab);
      session.run(bc);
      assertArrayEquals(new double[] {2}, doubles(session, adafactor.iterations()));
      // a after one step, b after two; c after a second step alone, which is shorter.
      double movedA = 1 - value(session, kind, a)[0];
      double movedB = (2 - value(session, kind, b)[0]) / 2;
      double movedC = (3 - value(session, kind, c)[0]) / 3;
      assertTrue(0 < movedC && movedC <= movedA * 1.001 && movedA < movedB);
    }
  }

  // What is read before what is written

  private static final int WIDE = 20_000;

  private interface Alias {
    Operand<TFloat32> of(Ops tf, Operand<TFloat32> x);
  }

  /** Ways to read another variable as a gradient. */
  private static final Map<String, Alias> ALIASES =
      Map.ofEntries(
          Map.entry("value", (tf, x) -> x),
          Map.entry("Identity", (tf, x) -> tf.identity(x)),
          Map.entry(
              "Reshape", (tf, x) -> tf.reshape(tf.expandDims(x, tf.constant(0)), tf.array(WIDE))),
          Map.entry("StopGradient", (tf, x) -> tf.stopGradient(tf.ensureShape(x, Shape.of(WIDE)))),
          Map.entry("AddN", (tf, x) -> tf.math.addN(List.of(x))),
          Map.entry("Slice", (tf, x) -> tf.slice(x, tf.array(0), tf.array(-1))),
          Map.entry("Cast", (tf, x) -> tf.dtypes.cast(x, TFloat32.class)),
          Map.entry("Pad", (tf, x) -> tf.pad(x, tf.constant(new int[1][2]), tf.constant(0f))),
          Map.entry("Sum", (tf, x) -> tf.reduceSum(x, tf.constant(new int[0]))),
          Map.entry("Mul", (tf, x) -> tf.math.mul(x, tf.constant(1f))),
          Map.entry("Neg", (tf, x) -> tf.math.neg(tf.math.neg(x))),
          Map.entry("Reciprocal", (tf, x) -> tf.math.reciprocal(tf.math.reciprocal(x))),
          Map.entry("Add", (tf, x) -> tf.math.add(x, tf.constant(0f))),
          Map.entry("Div", (tf, x) -> tf.math.div(x, tf.constant(1f))),
          Map.entry("Reverse", (tf, x) -> tf.reverse(tf.reverse(x, tf.array(0)), tf.array(0))));

  static Set<String> aliases() {
    return ALIASES.keySet();
  }

  private static float[] numbers(int seed) {
    Random random = new Random(seed);
    float[] numbers = new float[WIDE];
    for (int i = 0; i < WIDE; i++) {
      numbers[i] = 1 + random.nextFloat();
    }
    return numbers;
  }

  /** Adds a training step of two variables whose gradients are each other. */
  private interface Mutual {
    Op train(Ops tf, Adafactor adafactor, VariableKind kind, Output<?> a, Output<?> b);
  }

  @ParameterizedTest
  @MethodSource("aliases")
  void everyGradientIsThatOfTheOldValues(String name) {
    Alias alias = ALIASES.get(name);
    assertOldValues(
        (tf, adafactor, kind, a, b) ->
            adafactor.applyGradients(
                List.of(
                    pair(alias.of(tf, read(tf, kind, b)), a),
                    pair(alias.of(tf, read(tf, kind, a)), b)),
                "mutual"));
  }

  private interface Product {
    Operand<TFloat32> of(Ops tf, Operand<TFloat32> a, Operand<TFloat32> b);
  }

  /** Ways to write a·b. */
  private static final Map<String, Product> PRODUCTS =
      Map.of(
          "a·b", (tf, a, b) -> tf.math.mul(a, b),
          "−(a·−b)", (tf, a, b) -> tf.math.neg(tf.math.mul(a, tf.math.neg(b))),
          "−(−a·b)", (tf, a, b) -> tf.math.neg(tf.math.mul(tf.math.neg(a), b)),
          "−a·−b", (tf, a, b) -> tf.math.mul(tf.math.neg(a), tf.math.neg(b)),
          "0−a·−b", (tf, a, b) -> tf.math.sub(tf.constant(0f), tf.math.mul(a, tf.math.neg(b))),
          "2·a·b/2",
              (tf, a, b) ->
                  tf.math.div(tf.math.mul(tf.math.mul(a, tf.constant(2f)), b), tf.constant(2f)));

  static Set<String> products() {
    return PRODUCTS.keySet();
  }

  @ParameterizedTest
  @MethodSource("products")
  void productsAreMinimizedWithTheOldValues(String name) {
    assertOldValues(
        (tf, adafactor, kind, a, b) ->
            adafactor.minimize(
                tf.reduceSum(
                    PRODUCTS.get(name).of(tf, read(tf, kind, a), read(tf, kind, b)),
                    tf.constant(0)),
                List.of(a, b)));
  }

  private static void assertOldValues(Mutual mutual) {
    for (VariableKind kind : VariableKind.values()) {
      for (Numerics numerics : Numerics.values()) {
        try (Graph graph = new Graph()) {
          assertOldValues(graph, kind, numerics, mutual);
        }
      }
    }
  }

  /** Compares with the same step whose gradients are constants. */
  private static void assertOldValues(
      Graph graph, VariableKind kind, Numerics numerics, Mutual mutual) {
    Ops tf = Ops.create(graph);
    List<Operand<TFloat32>> starts = List.of(tf.constant(numbers(1)), tf.constant(numbers(2)));
    List<Output<? extends TType>> variables = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      variables.add(kind.create(tf, "w" + i, starts.get(i % 2)));
    }
    Adafactor.Builder arguments = Adafactor.builder(graph).numerics(numerics).learningRate(0.5);
    Op train = mutual.train(tf, arguments.build(), kind, variables.get(0), variables.get(1));
    Op fixed =
        arguments
            .build()
            .applyGradients(
                List.of(
                    pair(starts.get(1), variables.get(2)), pair(starts.get(0), variables.get(3))),
                "fixed");
    List<Operand<TFloat64>> values =
        variables.stream()
            .<Operand<TFloat64>>map(w -> tf.dtypes.cast(read(tf, kind, w), TFloat64.class))
            .toList();
    try (Session session = new Session(graph, true, THREADS)) {
      session.run(train);
      session.run(fixed);
      for (int i = 0; i < 2; i++) {
        // 1/(1/x) is not always x: a little is allowed.
        Elements.assertClose(
            Elements.of(session, values.get(2 + i)), Elements.of(session, values.get(i)), 1e-6);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aLossFetchedWithTheStepIsThatBeforeIt(VariableKind kind) {
    Output<? extends TType> w = kind.create(tf, "w", tf.constant(numbers(1)));
    Operand<TFloat32> loss = tf.math.mul(halfSquare(kind, w), tf.constant(2f));
    Op train = Adafactor.builder(graph).learningRate(0.5).build().minimize(loss);
    try (Session session = new Session(graph, true, THREADS)) {
      for (int i = 0; i < 20; i++) {
        double before = doubles(session, loss)[0];
        try (var result = session.runner().addTarget(train).fetch(loss).run()) {
          assertEquals(before, ((TFloat32) result.get(0)).getFloat());
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void runsFromOneStartEndAtTheSameBits(VariableKind kind) {
    List<Output<? extends TType>> variables = new ArrayList<>();
    Operand<TFloat32> loss = tf.constant(0f);
    Random random = new Random(5);
    for (int i = 0; i < 8; i++) {
      float[][] elements = new float[40][30 + i];
      for (float[] row : elements) {
        for (int column = 0; column < row.length; column++) {
          row[column] = (float) random.nextGaussian();
        }
      }
      Output<? extends TType> w = kind.create(tf, "w" + i, tf.constant(elements));
      variables.add(w);
      loss = tf.math.add(loss, tf.nn.l2Loss(tf.math.sin(read(tf, kind, w))));
    }
    Op train =
        Adafactor.builder(graph)
            .globalClipnorm(1)
            .weightDecay(0.01)
            .useEma(true)
            .emaOverwriteFrequency(3)
            .learningRate(new ExponentialDecay(0.1, 5, 0.5))
            .build()
            .minimize(loss);
    List<Operand<TFloat64>> values =
        variables.stream()
            .<Operand<TFloat64>>map(w -> tf.dtypes.cast(read(tf, kind, w), TFloat64.class))
            .toList();
    List<double[]> first = null;
    for (int repetition = 0; repetition < 5; repetition++) {
      try (Session session = new Session(graph, true, THREADS)) {
        for (int i = 0; i < 10; i++) {
          session.run(train);
        }
        List<double[]> now = values.stream().map(v -> Elements.of(session, v)).toList();
        first = first == null ? now : first;
        for (int i = 0; i < now.size(); i++) {
          assertArrayEquals(first.get(i), now.get(i));
        }
      }
    }
  }

  // The learning rate

  @Test
  void theLearningRateCanBeSetBetweenSteps() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 2, 2);
    Adafactor adafactor = Adafactor.builder(graph).learningRate(0.1).build();
    Op train = adafactor.minimize(halfSquare(VariableKind.REFERENCE, w));
    try (Session session = new Session(graph)) {
      session.run(train);
      adafactor.setLearningRate(session, 0);
      double[] before = value(session, VariableKind.REFERENCE, w);
      session.run(train);
      assertArrayEquals(before, value(session, VariableKind.REFERENCE, w));
      adafactor.setLearningRate(session, 0.25);
      assertArrayEquals(new double[] {0.25}, doubles(session, adafactor.learningRate()));
      assertTrue(adafactor.toJson().contains("\"learning_rate\":0.25"), adafactor.toJson());
      session.run(train);
      assertTrue(value(session, VariableKind.REFERENCE, w)[0] < before[0]);
      assertRefused(
          "`learning_rate` must be a finite number. Received: learning_rate=NaN",
          () -> adafactor.setLearningRate(session, Double.NaN));
    }
  }

  @Test
  void theLearningRateOfAScheduleCannotBeSet() {
    Adafactor adafactor =
        Adafactor.builder(graph).learningRate(new ExponentialDecay(0.1, 5, 0.5)).build();
    try (Session session = new Session(graph)) {
      IllegalStateException e =
          assertThrows(IllegalStateException.class, () -> adafactor.setLearningRate(session, 0.1));
      assertTrue(
          e.getMessage()
              .startsWith(
                  "This optimizer was created with a `LearningRateSchedule` object as its"
                      + " `learning_rate` constructor argument"));
    }
  }

  @Test
  void aScheduleOfTheUsersOwnTrains() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 1);
    Adafactor adafactor =
        Adafactor.builder(graph)
            .learningRate(
                (ops, step) ->
                    ops.math.div(
                        ops.constant(0.5f),
                        ops.dtypes.cast(ops.math.add(step, ops.constant(2L)), TFloat32.class)))
            .build();
    Op train = adafactor.applyGradients(List.of(pair(tf.constant(new float[] {1}), w)), "train");
    try (Session session = new Session(graph)) {
      assertArrayEquals(new double[] {0}, doubles(session, adafactor.learningRate()));
      session.run(train);
      assertArrayEquals(new double[] {0.25}, doubles(session, adafactor.learningRate()));
      assertEquals(0.75, value(session, VariableKind.REFERENCE, w)[0], 1e-6);
      session.run(train);
      assertArrayEquals(new double[] {0.5f / 3f}, doubles(session, adafactor.learningRate()), 1e-8);
    }
  }

  @Test
  void aScheduleCanDependOnWhatIsFed() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 1);
    Placeholder<TFloat32> rate = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
    Adafactor adafactor = Adafactor.builder(graph).learningRate((ops, step) -> rate).build();
    Op train = adafactor.applyGradients(List.of(pair(tf.constant(new float[] {1}), w)), "train");
    try (Session session = new Session(graph);
        TFloat32 half = TFloat32.scalarOf(0.5f)) {
      session.runner().feed(rate, half).addTarget(train).run();
      assertArrayEquals(new double[] {0.5}, value(session, VariableKind.REFERENCE, w), 1e-6);
    }
  }

  @Test
  void aScheduleThatGivesNoScalarIsRefused() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 1);
    List<GradAndVar<? extends TType>> pairs = List.of(pair(tf.constant(new float[] {1}), w));
    assertRefused(
        "the schedule of `learning_rate` must give a scalar. Received: null",
        () ->
            Adafactor.builder(graph)
                .learningRate((ops, step) -> null)
                .build()
                .applyGradients(pairs, "train"));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            Adafactor.builder(graph)
                .learningRate((ops, step) -> ops.constant(new float[] {1, 2}))
                .build()
                .applyGradients(pairs, "train"));
  }

  @Test
  void theOperationsOfAStepGrowWithTheVariablesAlone() {
    int few = operationsOfAStep(100);
    int more = operationsOfAStep(200);
    int most = operationsOfAStep(300);
    assertEquals(more - few, most - more);
  }

  private static int operationsOfAStep(int variables) {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      List<Operand<TFloat32>> losses = new ArrayList<>();
      for (int i = 0; i < variables; i++) {
        losses.add(tf.nn.l2Loss(tf.variable(tf.constant(new float[][] {{1, 2}, {3, 4}}))));
      }
      Adafactor adafactor =
          Adafactor.builder(graph)
              .useEma(true)
              .emaOverwriteFrequency(2)
              .weightDecay(0.1)
              .globalClipnorm(1)
              .build();
      int before = operations(graph);
      adafactor.minimize(tf.math.addN(losses));
      return operations(graph) - before;
    }
  }

  private static int operations(Graph graph) {
    int count = 0;
    for (var operations = graph.operations(); operations.hasNext(); operations.next()) {
      count++;
    }
    return count;
  }

  // Moving averages

  @ParameterizedTest
  @EnumSource
  void aFinalizedVariableHasMemoryOfItsOwn(VariableKind kind) {
    Output<? extends TType> w = variable(kind, "w", 1, 3);
    Adafactor adafactor = Adafactor.builder(graph).useEma(true).build();
    Op train = adafactor.minimize(halfSquare(kind, w));
    Op done = adafactor.finalizeVariableValues();
    Operand<TFloat32> average = slot(adafactor, w, Adafactor.AVERAGE);
    Op overwrite = tf.assign(average, tf.constant(new float[] {100, 200}));
    try (Session session = new Session(graph)) {
      session.run(train);
      session.run(done);
      double[] finalized = value(session, kind, w);
      session.run(overwrite);
      assertArrayEquals(finalized, value(session, kind, w));
    }
  }

  @ParameterizedTest
  @EnumSource
  void averagesReplaceTheVariablesAtTheEnd(VariableKind kind) {
    Output<? extends TType> w = variable(kind, "w", 1, 3);
    Adafactor adafactor =
        Adafactor.builder(graph).learningRate(0.5).useEma(true).emaMomentum(0.75).build();
    Op train = adafactor.minimize(halfSquare(kind, w));
    Op done = adafactor.finalizeVariableValues();
    try (Session session = new Session(graph)) {
      session.run(train);
      double[] stepped = value(session, kind, w);
      session.run(done);
      assertArrayEquals(
          new double[] {0.75 + 0.25 * stepped[0], 0.75 * 3 + 0.25 * stepped[1]},
          value(session, kind, w),
          1e-6);
    }
  }

  @ParameterizedTest
  @EnumSource
  void withoutAveragesTheEndChangesNothing(VariableKind kind) {
    Output<? extends TType> w = variable(kind, "w", 1, 3);
    Adafactor adafactor = new Adafactor(graph);
    Op train = adafactor.minimize(halfSquare(kind, w));
    Op done = adafactor.finalizeVariableValues();
    try (Session session = new Session(graph)) {
      session.run(train);
      double[] stepped = value(session, kind, w);
      session.run(done);
      assertArrayEquals(stepped, value(session, kind, w));
    }
  }

  @ParameterizedTest
  @EnumSource
  void averagesReplaceTheVariablesEverySoManySteps(VariableKind kind) {
    Output<? extends TType> w = variable(kind, "w", 1, 3);
    Adafactor adafactor =
        Adafactor.builder(graph)
            .learningRate(0.5)
            .useEma(true)
            .emaMomentum(0.5)
            .emaOverwriteFrequency(2)
            .build();
    Op train = adafactor.minimize(halfSquare(kind, w));
    try (Session session = new Session(graph)) {
      for (int t = 1; t <= 6; t++) {
        session.run(train);
        double[] average = doubles(session, slot(adafactor, w, Adafactor.AVERAGE));
        assertEquals(t % 2 == 0, Arrays.equals(average, value(session, kind, w)), "step " + t);
      }
    }
  }

  // Constraints

  @ParameterizedTest
  @EnumSource
  void constraintsComeLast(VariableKind kind) {
    Output<? extends TType> w =
        kind.create(tf, "w", tf.constant(new float[][] {{-1, 2, 0.5f}, {3, -4, 0.25f}}));
    Adafactor adafactor =
        Adafactor.builder(graph)
            .learningRate(0.1)
            .useEma(true)
            .emaMomentum(0.5)
            .emaOverwriteFrequency(2)
            .constraint(w, new NonNeg())
            .build();
    Op train = adafactor.minimize(halfSquare(kind, w));
    try (Session session = new Session(graph)) {
      for (int t = 1; t <= 4; t++) {
        session.run(train);
        double[] values = value(session, kind, w);
        double[] average = doubles(session, slot(adafactor, w, Adafactor.AVERAGE));
        assertTrue(Arrays.stream(values).allMatch(v -> v >= 0), Arrays.toString(values));
        if (t == 1) {
          assertTrue(average[0] < 0, "the average is of the unconstrained variable");
          assertEquals(0, values[0], 1e-12, "the constraint is applied to the updated variable");
          assertEquals(0, values[4], 1e-12, "the constraint is applied to the updated variable");
        }
        if (t % 2 == 0) {
          for (int i = 0; i < values.length; i++) {
            assertEquals(Math.max(0, average[i]), values[i], 1e-12);
          }
        } else {
          assertNotEquals(average[1], values[1]);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyConstraintOfTheFrameworkHolds(VariableKind kind) {
    List<Constraint> constraints =
        List.of(new NonNeg(), new MaxNorm(0.5f), new UnitNorm(), new MinMaxNorm(0.25f, 0.75f));
    Adafactor.Builder builder = Adafactor.builder(graph).learningRate(0.1);
    List<Output<? extends TType>> variables = new ArrayList<>();
    Operand<TFloat32> loss = tf.constant(0f);
    for (int i = 0; i < constraints.size(); i++) {
      Output<? extends TType> w =
          kind.create(tf, "w" + i, tf.constant(new float[][] {{-1, 2}, {3, -4}}));
      variables.add(w);
      builder.constraint(w, constraints.get(i));
      loss = tf.math.add(loss, halfSquare(kind, w));
    }
    Op train = builder.build().minimize(loss);
    try (Session session = new Session(graph)) {
      session.run(train);
      for (int i = 0; i < constraints.size(); i++) {
        Operand<TFloat32> w = read(tf, kind, variables.get(i));
        Elements.assertClose(
            doubles(session, constraints.get(i).call(tf, w)), doubles(session, w), 1e-5);
      }
    }
  }

  // Weight decay

  @ParameterizedTest
  @EnumSource
  void weightsDecayUnlessExcluded(VariableKind kind) {
    List<Output<? extends TType>> variables = new ArrayList<>();
    Operand<TFloat32> zero = tf.constant(new float[] {0});
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (String name : List.of("a/kernel", "a/bias", "b/kernel", "b/bias")) {
      Output<? extends TType> w = variable(kind, name, 2);
      variables.add(w);
      pairs.add(pair(zero, w));
    }
    Op train =
        Adafactor.builder(graph)
            .learningRate(0.5)
            .weightDecay(0.25)
            .excludeFromWeightDecay("kernel") // replaced by the next
            .excludeFromWeightDecay(List.of(variables.get(2)), "^a.*bias:0$")
            .build()
            .applyGradients(pairs, "train");
    try (Session session = new Session(graph)) {
      session.run(train);
      double decayed = 2 - 2 * 0.25 * 0.5;
      assertArrayEquals(new double[] {decayed}, value(session, kind, variables.get(0)));
      assertArrayEquals(new double[] {2}, value(session, kind, variables.get(1)));
      assertArrayEquals(new double[] {2}, value(session, kind, variables.get(2)));
      assertArrayEquals(new double[] {decayed}, value(session, kind, variables.get(3)));
    }
  }

  // Sparse gradients

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void sparseGradientsAddUpToDenseOnes(boolean longIndices) {
    for (VariableKind kind : VariableKind.values()) {
      float[][] start = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
      String prefix = kind + "_";
      Output<? extends TType> sparse = kind.create(tf, prefix + "sparse", tf.constant(start));
      Output<? extends TType> dense = kind.create(tf, prefix + "dense", tf.constant(start));
      Operand<TFloat32> rows = tf.constant(new float[][] {{1, 2}, {3, 4}, {0.5f, 0.25f}});
      Operand<? extends TNumber> indices = longIndices ? tf.array(3L, 1L, 3L) : tf.array(3, 1, 3);
      Operand<TFloat32> sums = tf.constant(new float[][] {{0, 0}, {3, 4}, {0, 0}, {1.5f, 2.25f}});
      Op train =
          new Adafactor(graph)
              .applyGradients(
                  List.of(new IndexedSlices<>(rows, indices).of(sparse), pair(sums, dense)),
                  prefix + "train");
      try (Session session = new Session(graph)) {
        session.run(train);
        session.run(train);
        assertArrayEquals(value(session, kind, dense), value(session, kind, sparse));
      }
    }
  }

  @Test
  void aSparseGradientOfNoRowsIsZero() {
    Output<? extends TType> w =
        VariableKind.REFERENCE.create(tf, "w", tf.constant(new float[][] {{1, 2}, {3, 4}}));
    Adafactor adafactor = new Adafactor(graph);
    Op train =
        adafactor.applyGradients(
            List.of(
                new IndexedSlices<>(
                        tf.zeros(tf.array(0, 2), TFloat32.class),
                        tf.zeros(tf.array(0), TInt64.class))
                    .of(w)),
            "train");
    try (Session session = new Session(graph)) {
      session.run(train);
      assertArrayEquals(new double[] {1, 2, 3, 4}, value(session, VariableKind.REFERENCE, w));
      assertArrayEquals(new double[] {1}, doubles(session, adafactor.iterations()));
    }
  }

  @Test
  void aGatherWhoseShapeIsNotKnownTrains() {
    Output<? extends TType> table =
        VariableKind.RESOURCE.create(tf, "table", tf.constant(new float[][] {{1, 2}, {3, 4}}));
    var indices = tf.placeholder(TInt32.class);
    Operand<TFloat32> loss =
        tf.nn.l2Loss(tf.gather(read(tf, VariableKind.RESOURCE, table), indices, tf.constant(0)));
    Op train = Adafactor.builder(graph).learningRate(0.1).build().minimize(loss);
    try (Session session = new Session(graph);
        TInt32 fed = TInt32.vectorOf(1, 1)) {
      session.runner().feed(indices, fed).addTarget(train).run().close();
      double[] after = value(session, VariableKind.RESOURCE, table);
      assertEquals(1, after[0]);
      assertTrue(after[2] < 3);
    }
  }

  @Test
  void getSlotIsEmptyForWhatItDoesNotKnow() {
    Output<TFloat32> w = variable(VariableKind.REFERENCE, "w", 1).expect(TFloat32.class);
    Adafactor adafactor = new Adafactor(graph);
    assertEquals(Optional.empty(), adafactor.getSlot(w, Adafactor.V));
    adafactor.minimize(halfSquare(VariableKind.REFERENCE, w));
    assertEquals(Optional.empty(), adafactor.getSlot(w, Adafactor.R));
    assertEquals(Optional.empty(), adafactor.getSlot(w, "m"));
    assertEquals(Optional.empty(), adafactor.getSlot(tf.constant(1f).asOutput(), Adafactor.V));
    assertRefused(
        "the optimizer has no state for variable 'other'",
        () -> adafactor.secondMoment(variable(VariableKind.REFERENCE, "other", 1)));
  }
}
