package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.OperationBuilder;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Gather;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.ResourceGather;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Gradients of variables that rows are gathered from. */
class GatheredRowsTest {

  private static final Shape TABLE = Shape.of(5, 3);

  /** What is computed from the value of a table of shape [5, 3]. */
  private interface Model {
    Operand<TFloat32> of(Ops tf, Operand<TFloat32> table);
  }

  private static Operand<TFloat32> rows(
      Ops tf, Operand<TFloat32> table, Operand<? extends TNumber> indices) {
    return tf.gather(table, indices, tf.constant(0));
  }

  private static Operand<TInt32> some(Ops tf) {
    return tf.array(3, 1, 3);
  }

  private static Operand<TInt32> column(Ops tf) {
    return tf.constant(new int[][] {{3}, {1}, {3}});
  }

  /** By their rows alone. */
  private static final Map<String, Model> SPARSE =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("int32", (tf, w) -> rows(tf, w, some(tf))),
              Map.entry("int64", (tf, w) -> rows(tf, w, tf.array(0L, 4L, 4L, 4L))),
              Map.entry("scalar", (tf, w) -> rows(tf, w, tf.constant(2))),
              Map.entry("matrix", (tf, w) -> rows(tf, w, tf.constant(new int[][] {{1}, {4}}))),
              Map.entry(
                  "rank 3", (tf, w) -> rows(tf, w, tf.zeros(tf.array(2, 1, 3), TInt64.class))),
              Map.entry("none", (tf, w) -> rows(tf, w, tf.zeros(tf.array(0), TInt32.class))),
              Map.entry("identity", (tf, w) -> rows(tf, tf.identity(tf.identity(w)), some(tf))),
              Map.entry(
                  "cast",
                  (tf, w) ->
                      tf.dtypes.cast(
                          tf.gather(tf.dtypes.cast(w, TFloat64.class), some(tf), tf.constant(0)),
                          TFloat32.class)),
              Map.entry("nd", (tf, w) -> tf.gatherNd(w, column(tf))),
              Map.entry(
                  "two",
                  (tf, w) -> tf.math.mul(rows(tf, w, some(tf)), rows(tf, w, tf.array(2, 3, 4)))),
              Map.entry(
                  "two of different types",
                  (tf, w) ->
                      tf.math.mul(
                          rows(tf, w, some(tf)),
                          rows(tf, tf.identity(w), tf.constant(new long[][] {{2, 3, 4}})))),
              Map.entry("the same twice", (tf, w) -> twice(tf, rows(tf, w, some(tf)))),
              Map.entry(
                  "of what is gathered",
                  (tf, w) -> rows(tf, rows(tf, w, tf.array(4, 4, 2)), tf.array(1, 0, 1))),
              Map.entry(
                  "where it leads",
                  (tf, w) ->
                      rows(
                          tf,
                          w,
                          tf.math.argMax(rows(tf, w, some(tf)), tf.constant(1), TInt32.class))),
              Map.entry(
                  "held constant beside",
                  (tf, w) ->
                      tf.math.mul(rows(tf, w, some(tf)), tf.sum(tf.stopGradient(w), all(tf)))),
              Map.entry(
                  "its shape beside",
                  (tf, w) ->
                      tf.math.mul(
                          rows(tf, w, some(tf)),
                          tf.sum(tf.dtypes.cast(tf.shape(w), TFloat32.class), tf.constant(0))))));

  /** In other ways, too. */
  private static final Map<String, Model> DENSE =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("columns", (tf, w) -> tf.gather(w, tf.array(2, 0), tf.constant(1))),
              Map.entry(
                  "batches",
                  (tf, w) ->
                      tf.gather(
                          w, tf.constant(new int[5][2]), tf.constant(1), Gather.batchDims(1L))),
              Map.entry(
                  "axis not known",
                  (tf, w) ->
                      tf.gather(
                          w, some(tf), tf.placeholderWithDefault(tf.constant(0), Shape.scalar()))),
              Map.entry("elements", (tf, w) -> tf.gatherNd(w, tf.constant(new int[][] {{1, 2}}))),
              Map.entry(
                  "rows in a cube",
                  (tf, w) -> tf.gatherNd(w, tf.constant(new int[][][] {{{1}, {2}}}))),
              Map.entry(
                  "tied",
                  (tf, w) ->
                      tf.linalg.matMul(
                          rows(tf, w, some(tf)), tf.linalg.transpose(w, tf.array(1, 0)))),
              Map.entry(
                  "regularized",
                  (tf, w) -> tf.math.add(rows(tf, w, some(tf)), tf.nn.l2Loss(tf.identity(w)))),
              Map.entry("itself", (tf, w) -> tf.identity(w)),
              Map.entry("sliced", (tf, w) -> tf.slice(w, tf.array(1, 0), tf.array(2, 3)))));

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private static Operand<TInt32> all(Ops tf) {
    return tf.array(0, 1);
  }

  private static Operand<TFloat32> twice(Ops tf, Operand<TFloat32> x) {
    return tf.math.mul(tf.math.sin(x), x);
  }

  /** The operation before GatherV2, which Java has no method for. */
  @SuppressWarnings("unchecked") // As the table.
  private static Operand<TFloat32> old(
      Ops tf, Operand<TFloat32> table, Operand<? extends TNumber> indices) {
    OperationBuilder builder =
        tf.scope().env().opBuilder("Gather", tf.scope().makeOpName("Gather"), tf.scope());
    return (Operand<TFloat32>)
        (Operand<?>)
            builder.addInput(table.asOutput()).addInput(indices.asOutput()).build().output(0);
  }

  static Stream<Arguments> sparse() {
    return cases(SPARSE);
  }

  static Stream<Arguments> dense() {
    return cases(DENSE);
  }

  private static Stream<Arguments> cases(Map<String, Model> models) {
    return models.keySet().stream()
        .flatMap(name -> Stream.of(VariableKind.values()).map(kind -> Arguments.of(name, kind)));
  }

  private Output<? extends TType> table(VariableKind kind, String name, Shape shape) {
    double[] elements = new Random(5).doubles(shape.size(), -1, 1).toArray();
    return kind.create(tf, name, Elements.constant(tf, TFloat32.class, shape, elements));
  }

  private Operand<TFloat32> value(VariableKind kind, Output<? extends TType> table) {
    return kind.read(tf, table, TFloat32.class);
  }

  /** A loss by which each element has a derivative of its own. */
  private Operand<TFloat32> loss(Operand<TFloat32> x) {
    return tf.nn.l2Loss(tf.math.add(tf.math.sin(x), tf.constant(0.25f)));
  }

  private GradAndVar<? extends TType> pair(
      Operand<TFloat32> loss, Output<? extends TType> variable) {
    return new Adafactor(graph).computeGradients(loss, List.of(variable)).get(0);
  }

  private double[] elements(Operand<? extends TNumber> operand) {
    try (Session session = new Session(graph)) {
      return Elements.of(session, tf.dtypes.cast(operand, TFloat64.class));
    }
  }

  /** As TensorFlow computes it. */
  @SuppressWarnings("unchecked") // Of floats.
  private double[] nativeGradient(Operand<TFloat32> loss, Output<?> variable) {
    Output<?> gradient = graph.addGradients(loss.asOutput(), new Output<?>[] {variable})[0];
    return elements((Operand<TFloat32>) gradient);
  }

  private double[] added(GradAndVar<? extends TType> pair, long rows) {
    IndexedSlices<?> slices = IndexedSlices.from(pair).orElseThrow();
    assertEquals(1, slices.indices().shape().numDimensions());
    assertEquals(pair.getGradient(), slices.values().asOutput());
    return elements(
        tf.math.unsortedSegmentSum(slices.values(), slices.indices(), tf.constant(rows)));
  }

  @ParameterizedTest
  @MethodSource("sparse")
  void rowsAloneAddUpToTheDenseGradient(String name, VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", TABLE);
    Operand<TFloat32> loss = loss(SPARSE.get(name).of(tf, value(kind, table)));
    double[] expected = nativeGradient(loss, table);
    Elements.assertClose(expected, added(pair(loss, table), TABLE.get(0)), 1e-6);
  }

  @ParameterizedTest
  @MethodSource("dense")
  void otherUsesHaveTheDenseGradient(String name, VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", TABLE);
    Operand<TFloat32> loss = loss(DENSE.get(name).of(tf, value(kind, table)));
    GradAndVar<? extends TType> pair = pair(loss, table);
    assertEquals(Optional.empty(), IndexedSlices.from(pair));
    assertArrayEquals(
        nativeGradient(loss, table), elements(pair.getGradient().expect(TFloat32.class)));
  }

  @ParameterizedTest
  @EnumSource
  void theLossMayBeTheRowsOrTheTable(VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", Shape.of(4));
    Operand<TFloat32> value = value(kind, table);
    assertArrayEquals(new double[] {0, 1, 0, 2}, added(pair(rows(tf, value, some(tf)), table), 4));
    Operand<TFloat32> unchanged = tf.identity(value);
    rows(tf, unchanged, some(tf));
    assertEquals(Optional.empty(), IndexedSlices.from(pair(unchanged, table)));
  }

  @ParameterizedTest
  @EnumSource
  void tablesOfAnyRankAreGatheredFrom(VariableKind kind) {
    for (Shape shape : List.of(Shape.of(4), Shape.of(4, 1), Shape.of(4, 2, 3, 2))) {
      Output<? extends TType> table = table(kind, "table" + shape.numDimensions(), shape);
      Operand<TFloat32> gathered =
          rows(tf, value(kind, table), tf.constant(new int[][] {{1, 3}, {0, 3}}));
      Operand<TFloat32> loss = loss(gathered);
      GradAndVar<? extends TType> pair = pair(loss, table);
      assertEquals(shape.tail().prepend(4), pair.getGradient().shape());
      Elements.assertClose(nativeGradient(loss, table), added(pair, 4), 1e-6);
    }
  }

  /** For these TensorFlow has no gradient, or one that fails. */
  @ParameterizedTest
  @EnumSource
  void otherOperationsThatGatherRowsHaveTheSameGradient(VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", TABLE);
    Operand<TFloat32> value = value(kind, table);
    double[] expected = nativeGradient(loss(rows(tf, value, some(tf))), table);
    List<Operand<TFloat32>> same = new ArrayList<>();
    same.add(old(tf, value, some(tf)));
    same.add(tf.gather(value, some(tf), tf.constant(0L)));
    if (kind == VariableKind.RESOURCE) {
      same.add(ResourceGather.create(tf.scope(), table, some(tf), TFloat32.class));
      same.add(tf.resourceGatherNd(table, column(tf), TFloat32.class));
    }
    for (Operand<TFloat32> gathered : same) {
      Elements.assertClose(expected, added(pair(loss(gathered), table), 5), 1e-6);
    }
  }

  @Test
  void gathersThroughSeveralHandlesAddUp() {
    Output<? extends TType> table = table(VariableKind.RESOURCE, "table", TABLE);
    Output<? extends TType> same =
        tf.varHandleOp(TFloat32.class, TABLE, VarHandleOp.sharedName("table")).asOutput();
    Operand<TFloat32> left = rows(tf, value(VariableKind.RESOURCE, table), some(tf));
    Operand<TFloat32> right = rows(tf, value(VariableKind.RESOURCE, same), tf.array(4, 3, 0));
    Operand<TFloat32> both = tf.math.add(loss(left), loss(right));
    double[] expected = nativeGradient(loss(left), table);
    double[] rest = nativeGradient(loss(right), same);
    for (int i = 0; i < expected.length; i++) {
      expected[i] += rest[i];
    }
    Elements.assertClose(expected, added(pair(both, table), 5), 1e-6);
    Operand<TFloat32> whole = tf.math.add(both, tf.nn.l2Loss(value(VariableKind.RESOURCE, same)));
    assertEquals(Optional.empty(), IndexedSlices.from(pair(whole, table)));
  }

  @ParameterizedTest
  @EnumSource
  void whatDoesNotReachTheLossDoesNotCount(VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", TABLE);
    Operand<TFloat32> value = value(kind, table);
    Operand<TFloat32> loss = loss(rows(tf, value, some(tf)));
    tf.nn.l2Loss(value);
    assertTrue(IndexedSlices.from(pair(loss, table)).isPresent());
    Operand<TFloat32> held = loss(tf.stopGradient(rows(tf, value, some(tf))));
    Output<? extends TType> other = table(kind, "other", TABLE);
    List<GradAndVar<? extends TType>> pairs =
        new Adafactor(graph)
            .computeGradients(
                tf.math.add(held, tf.nn.l2Loss(value(kind, other))), List.of(table, other));
    assertEquals(null, pairs.get(0).getGradient());
    assertEquals(Optional.empty(), IndexedSlices.from(pairs.get(1)));
  }

  @ParameterizedTest
  @EnumSource
  void indicesThatAreNotThereChangeNothing(VariableKind kind) {
    Output<? extends TType> table = table(kind, "table", TABLE);
    Output<? extends TType> other = table(kind, "other", TABLE);
    Placeholder<TInt32> indices = tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(2)));
    // The gradient follows from the table's shape alone.
    Operand<TFloat32> loss =
        tf.math.add(
            tf.sum(rows(tf, value(kind, table), indices), all(tf)),
            tf.nn.l2Loss(value(kind, other)));
    Adafactor adafactor = new Adafactor(graph);
    Op train =
        adafactor.applyGradients(adafactor.computeGradients(loss, List.of(table, other)), "train");
    Operand<TFloat64> state =
        tf.dtypes.cast(
            tf.concat(List.of(value(kind, table), value(kind, other)), tf.constant(0)),
            TFloat64.class);
    try (Session session = new Session(graph)) {
      double[] before = Elements.of(session, state);
      for (int wrong : new int[] {-1, 5}) {
        try (TInt32 fed = TInt32.vectorOf(0, wrong)) {
          Session.Runner runner = session.runner().feed(indices, fed).addTarget(train);
          TFInvalidArgumentException e =
              assertThrows(TFInvalidArgumentException.class, runner::run);
          assertTrue(
              e.getMessage().contains("is not in [0, 5)")
                  || e.getMessage().contains("an index beyond the 5 rows of variable"),
              e.getMessage());
        }
        assertArrayEquals(before, Elements.of(session, state));
      }
      assertArrayEquals(
          new double[] {0},
          Elements.of(session, tf.dtypes.cast(adafactor.iterations(), TFloat64.class)));
    }
  }

  /** Tables and what is gathered from them, mixed at random. */
  @Property(tries = 40)
  void anyMixtureHasTheDenseGradient(@ForAll long seed) {
    Random random = new Random(seed);
    try (Graph mixed = new Graph()) {
      Ops ops = Ops.create(mixed);
      List<Output<? extends TType>> tables = new ArrayList<>();
      List<Operand<TFloat32>> uses = new ArrayList<>();
      List<Boolean> sparse = new ArrayList<>();
      for (int i = 0; i < 1 + random.nextInt(3); i++) {
        VariableKind kind = random.nextBoolean() ? VariableKind.REFERENCE : VariableKind.RESOURCE;
        Shape shape = Shape.of(1 + random.nextInt(6));
        for (int d = random.nextInt(3); d > 0; d--) {
          shape = shape.append(1 + random.nextInt(3));
        }
        double[] start = random.doubles(shape.size(), -1, 1).toArray();
        Output<? extends TType> table =
            kind.create(ops, "t" + i, Elements.constant(ops, TFloat32.class, shape, start));
        tables.add(table);
        for (int g = 1 + random.nextInt(3); g > 0; g--) {
          Operand<TFloat32> value = kind.read(ops, table, TFloat32.class);
          value = random.nextBoolean() ? value : ops.identity(value);
          uses.add(rows(ops, value, indices(ops, random, shape.get(0))));
        }
        sparse.add(random.nextInt(4) > 0);
        if (!sparse.get(i)) {
          uses.add(ops.identity(kind.read(ops, table, TFloat32.class)));
        }
      }
      List<Operand<TFloat32>> losses = new ArrayList<>();
      for (Operand<TFloat32> use : uses) {
        Operand<TFloat32> before =
            losses.isEmpty() ? ops.constant(1f) : losses.get(random.nextInt(losses.size()));
        losses.add(ops.nn.l2Loss(ops.math.add(ops.math.sin(use), ops.math.tanh(before))));
      }
      Operand<TFloat32> loss = ops.math.addN(losses);
      Output<?>[] expected = mixed.addGradients(loss.asOutput(), tables.toArray(Output<?>[]::new));
      List<GradAndVar<? extends TType>> pairs = new Adafactor(mixed).computeGradients(loss, tables);
      try (Session session = new Session(mixed)) {
        for (int i = 0; i < tables.size(); i++) {
          Optional<IndexedSlices<?>> slices = IndexedSlices.from(pairs.get(i));
          assertEquals(sparse.get(i), slices.isPresent());
          Operand<TFloat32> wanted = expected[i].expect(TFloat32.class);
          Operand<? extends TNumber> given =
              slices.isEmpty()
                  ? pairs.get(i).getGradient().expect(TFloat32.class)
                  : ops.math.unsortedSegmentSum(
                      slices.get().values(),
                      slices.get().indices(),
                      ops.gather(ops.shape(wanted), ops.constant(0), ops.constant(0)));
          Elements.assertClose(
              Elements.of(session, ops.dtypes.cast(wanted, TFloat64.class)),
              Elements.of(session, ops.dtypes.cast(given, TFloat64.class)),
              1e-5);
        }
      }
    }
  }

  private static Operand<? extends TNumber> indices(Ops tf, Random random, long rows) {
    Shape shape = Shape.scalar();
    for (int d = random.nextInt(4); d > 0; d--) {
      shape = shape.append(random.nextInt(4));
    }
    double[] chosen = random.longs(shape.size(), 0, rows).asDoubleStream().toArray();
    return random.nextBoolean()
        ? Elements.constant(tf, TInt32.class, shape, chosen)
        : Elements.constant(tf, TInt64.class, shape, chosen);
  }
}
