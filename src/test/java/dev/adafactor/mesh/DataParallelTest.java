package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.Elements;
import dev.adafactor.IndexedSlices;
import dev.adafactor.VariableKind;
import dev.adafactor.graph.FunctionGradients;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.ConcreteFunction;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Signature;
import org.tensorflow.framework.optimizers.GradientDescent;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

class DataParallelTest {

  private static final List<String> TWO = List.of("/device:CPU:0", "/device:CPU:1");

  private static final ConfigProto CONFIG =
      ConfigProto.newBuilder().putDeviceCount("CPU", 3).setAllowSoftPlacement(false).build();

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private static Ops on(Ops tf, int cpu) {
    return tf.withDevice(
        DeviceSpec.newBuilder().deviceType(DeviceSpec.DeviceType.CPU).deviceIndex(cpu).build());
  }

  private static Operand<TFloat64> mean(Ops tf, Operand<TFloat64> x) {
    return tf.math.mean(tf.reshape(x, tf.array(-1)), tf.constant(0));
  }

  private static DataParallel.Model<TFloat64> meanOfFirst() {
    return (ops, part) -> mean(ops, part.input(0, TFloat64.class));
  }

  private Operand<TFloat64> zeros(int... shape) {
    return tf.zeros(tf.constant(shape), TFloat64.class);
  }

  private Operand<TFloat64> vector(double... elements) {
    return tf.constant(elements);
  }

  private Output<? extends TType> variable(VariableKind kind, String name, double... elements) {
    return kind.create(
        on(tf, 0),
        name,
        Elements.constant(tf.withInitScope(), TFloat64.class, Shape.of(elements.length), elements));
  }

  private double[] elements(Operand<? extends TNumber> operand) {
    try (Session session = new Session(graph, true, CONFIG)) {
      return Elements.of(session, tf.dtypes.cast(operand, TFloat64.class));
    }
  }

  @SuppressWarnings("unchecked") // Of floats.
  private double[] elements(GradAndVar<?> pair) {
    return elements((Operand<? extends TNumber>) (Operand<?>) pair.getGradient());
  }

  /** As TensorFlow computes it. */
  private double[] nativeGradient(Operand<?> loss, Output<?> variable) {
    return elements(
        graph.addGradients(loss.asOutput(), new Output<?>[] {variable})[0].expect(TFloat64.class));
  }

  /** The devices that run operations of a scope when an operand is fetched. */
  private Set<String> devices(Operand<?> fetched, String scope) {
    RunOptions trace =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Session session = new Session(graph, true, CONFIG);
        Result result = session.runner().fetch(fetched).setOptions(trace).runAndFetchMetadata()) {
      return result.getMetadata().orElseThrow().getStepStats().getDevStatsList().stream()
          .filter(
              device ->
                  device.getNodeStatsList().stream()
                      .anyMatch(node -> node.getNodeName().startsWith(scope + "/")))
          .map(device -> device.getDevice().replaceFirst("^.*/device:", "/device:"))
          .collect(Collectors.toSet());
    }
  }

  private static void assertRefused(String message, Executable action) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, action).getMessage());
  }

  @Test
  void devicesMustBeNamed() {
    assertRefused(
        "there must be a device, such as /device:CPU:0",
        () -> DataParallel.split(tf, List.of(), List.of(zeros(4)), meanOfFirst()));
    for (String device : List.of("", "CPU", "/device:CPU:*", "/job:worker", "/device:CPU:1:2")) {
      assertRefused(
          "'"
              + device
              + "' does not name one device: give such as /device:CPU:0,"
              + " /job:worker/task:1/device:GPU:0 or /job:worker/task:1",
          () -> DataParallel.split(tf, List.of(device), List.of(zeros(4)), meanOfFirst()));
    }
  }

  @Test
  void batchesMustHaveRows() {
    assertRefused(
        "a batch must have an input, such as features",
        () -> DataParallel.split(tf, TWO, List.of(), meanOfFirst()));
    Operand<TFloat64> scalar = tf.withName("rate").constant(1.0);
    assertRefused(
        "the input 'rate:0' is a scalar: a batch is along an axis",
        () -> DataParallel.split(tf, TWO, List.of(zeros(4), scalar), meanOfFirst()));
    assertRefused(
        "the inputs of a batch must have the same number of rows. Received: [[4, 2], [5]]",
        () -> DataParallel.split(tf, TWO, List.of(zeros(4, 2), zeros(5)), meanOfFirst()));
    assertRefused(
        "a batch of 1 rows cannot be divided among 2 devices: each must get a row",
        () -> DataParallel.split(tf, TWO, List.of(zeros(1, 2)), meanOfFirst()));
    assertRefused(
        "each device must have one part of the batch. Received: 1 parts for 2 devices",
        () ->
            DataParallel.ofParts(
                tf, TWO, List.of(new DataParallel.Part(List.of(zeros(3)))), meanOfFirst()));
    assertRefused(
        "part 2 of 2 of the batch has no row",
        () ->
            DataParallel.ofParts(
                tf,
                TWO,
                List.of(
                    new DataParallel.Part(List.of(zeros(3))),
                    new DataParallel.Part(List.of(zeros(0)))),
                meanOfFirst()));
  }

  @Test
  void lossesMustBeScalarsOfFloats() {
    assertRefused(
        "the loss of a part has shape [2, 3], it must be a scalar: the mean over the part's rows",
        () ->
            DataParallel.split(
                tf, TWO, List.of(zeros(4, 3)), (ops, part) -> part.input(0, TFloat64.class)));
    assertRefused(
        "the loss of a part is of type DT_INT32, it must be of floats",
        () -> DataParallel.split(tf, TWO, List.of(zeros(4)), (ops, part) -> ops.constant(1)));
    assertThrows(
        NullPointerException.class,
        () -> DataParallel.<TFloat64>split(tf, TWO, List.of(zeros(4)), (ops, part) -> null));
  }

  @Test
  void inputsAreOfTheirTypes() {
    DataParallel.Part part = new DataParallel.Part(List.of(zeros(4), tf.array(1, 2, 3, 4)));
    assertEquals(TInt32.class, part.input(1, TInt32.class).type());
    assertThrows(IllegalArgumentException.class, () -> part.input(1, TFloat64.class));
    assertThrows(IndexOutOfBoundsException.class, () -> part.input(2, TFloat64.class));
  }

  @Test
  void lossIsTheMeanOverAllRows() {
    DataParallel<TFloat64> known =
        DataParallel.split(tf, TWO, List.of(vector(1, 2, 6)), meanOfFirst());
    assertArrayEquals(new double[] {3}, elements(known), 1e-15);
    assertArrayEquals(new double[] {1.5}, elements(known.parts().get(0)));
    assertArrayEquals(new double[] {6}, elements(known.parts().get(1)));
    assertEquals(Shape.scalar(), known.shape());

    Placeholder<TFloat64> first = tf.placeholder(TFloat64.class);
    Placeholder<TFloat64> second = tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(2)));
    DataParallel<TFloat64> fed =
        DataParallel.ofParts(
            tf,
            TWO,
            List.of(new DataParallel.Part(List.of(first)), new DataParallel.Part(List.of(second))),
            // Of a shape that is not known.
            (ops, part) ->
                ops.math.mean(
                    part.input(0, TFloat64.class),
                    ops.placeholderWithDefault(ops.array(0), Shape.unknown())));
    try (Session session = new Session(graph, true, CONFIG);
        TFloat64 one = TFloat64.vectorOf(9);
        TFloat64 two = TFloat64.vectorOf(2, 4);
        Result result = session.runner().feed(first, one).feed(second, two).fetch(fed).run()) {
      assertEquals(5, ((TFloat64) result.get(0)).getDouble(), 1e-15);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/device:CPU:1",
        "/cpu:1",
        "/job:localhost/replica:0/task:0/device:CPU:1",
        "/job:localhost/replica:0/task:0"
      })
  void devicesHaveManyNames(String device) {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 2, 3);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            List.of("/device:CPU:0", device),
            List.of(vector(1, 2, 6)),
            (ops, part) ->
                ops.math.mul(
                    mean(ops, part.input(0, TFloat64.class)),
                    mean(ops, ops.math.square(ops.identity(w.expect(TFloat64.class))))));
    GradAndVar<?> pair = loss.gradients(List.of(w)).get(0);
    assertArrayEquals(new double[] {6, 9}, elements(pair), 1e-15);
    assertEquals(
        Set.of(device.endsWith("0") ? "/device:CPU:0" : "/device:CPU:1"),
        devices(pair.getGradient(), "data_parallel/tower_1/gradients"));
  }

  @ParameterizedTest
  @EnumSource
  void partsMayFollowFromDifferentVariables(VariableKind kind) {
    List<Output<? extends TType>> variables =
        List.of(variable(kind, "u", 2), variable(kind, "v", 3), variable(kind, "unused", 1));
    List<Operand<TFloat64>> values = new ArrayList<>();
    variables.forEach(
        variable -> values.add(mean(tf, kind.read(on(tf, 0), variable, TFloat64.class))));
    Iterator<Operand<TFloat64>> own = values.iterator();
    DataParallel<TFloat64> loss =
        DataParallel.ofParts(
            tf,
            TWO,
            List.of(
                new DataParallel.Part(List.of(vector(4))),
                new DataParallel.Part(List.of(vector(8, 4, 6)))),
            (ops, part) -> ops.math.mul(own.next(), mean(ops, part.input(0, TFloat64.class))));
    Adafactor adafactor = new Adafactor(graph);
    List<GradAndVar<? extends TType>> pairs = adafactor.computeGradients(loss, variables);
    assertArrayEquals(new double[] {1}, elements(pairs.get(0)));
    assertArrayEquals(new double[] {4.5}, elements(pairs.get(1)));
    assertNull(pairs.get(2).getGradient());
    assertEquals(
        variables.subList(0, 2),
        loss.gradients(variables).stream().map(GradAndVar::getVariable).toList());
    assertEquals(
        variables.subList(0, 2),
        adafactor.computeGradients(loss).stream().map(GradAndVar::getVariable).toList());
    assertRefused(
        "No gradients provided for any variable: ['unused'].",
        () -> adafactor.minimize(loss, variables.subList(2, 3)));
  }

  @Test
  void onlyVariablesOfTheGraphHaveGradients() {
    DataParallel<TFloat64> loss =
        DataParallel.split(tf, TWO, List.of(vector(1, 2, 6)), meanOfFirst());
    Operand<TFloat64> constant = tf.withName("c").constant(1.0);
    assertRefused(
        "'c:0' is the output of a Const, not a variable: give the output of a VariableV2 or the"
            + " handle of a VarHandleOp",
        () -> loss.gradients(List.of(constant)));
    assertRefused(
        "'c:0' is the output of a Const, not a variable: give the output of a VariableV2 or the"
            + " handle of a VarHandleOp",
        () -> new Adafactor(graph).computeGradients(loss, List.of(constant)));
    try (Graph other = new Graph()) {
      Operand<TFloat64> foreign =
          Ops.create(other).withName("w").variable(Shape.scalar(), TFloat64.class);
      assertRefused(
          "variable 'w' is of another graph than the optimizer",
          () -> loss.gradients(List.of(foreign)));
    }
  }

  @Test
  void handlesAreReadOnTheirOwnDevice() {
    Output<? extends TType> w = variable(VariableKind.RESOURCE, "w", 2);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            TWO,
            List.of(zeros(4)),
            (ops, part) ->
                ops.math.mul(
                    mean(ops, part.input(0, TFloat64.class)),
                    mean(ops, VariableKind.RESOURCE.read(ops, w, TFloat64.class))));
    assertRefused(
        "the operation 'data_parallel/tower_1/ReadVariableOp' on /device:CPU:1 reads the variable"
            + " 'w', which is on /device:CPU:0; read it in a scope of the variable's device,"
            + " outside of the towers",
        () -> loss.gradients(List.of(w)));
  }

  @ParameterizedTest
  @EnumSource
  void gradientsOfGatheredRowsStaySparse(VariableKind kind) {
    Output<? extends TType> table = variable(kind, "table", 1, 2, 3, 4, 5);
    Operand<TFloat64> value = kind.read(on(tf, 0), table, TFloat64.class);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            TWO,
            List.of(tf.constant(new int[][] {{0, 1}, {1, 1}, {4, 0}})),
            (ops, part) ->
                mean(
                    ops,
                    ops.math.sin(ops.gather(value, part.input(0, TInt32.class), ops.constant(0)))));
    double[] expected = nativeGradient(loss, table);
    GradAndVar<?> pair = new Adafactor(graph).computeGradients(loss, List.of(table)).get(0);
    IndexedSlices<?> slices = IndexedSlices.from(pair).orElseThrow();
    assertArrayEquals(new double[] {0, 1, 1, 1, 4, 0}, elements(slices.indices()));
    Elements.assertClose(
        expected,
        elements(tf.math.unsortedSegmentSum(slices.values(), slices.indices(), tf.constant(5))),
        1e-15);
    Elements.assertClose(expected, elements(loss.gradients(List.of(table)).get(0)), 1e-15);
  }

  /**
   * What a tower can gather from a matrix that is elsewhere, and TensorFlow differentiates itself.
   */
  enum Gather {
    /** Rows of what is multiplied by as a whole, too. */
    TIED {
      @Override
      Operand<TFloat64> of(Ops ops, Operand<TFloat64> value, Operand<TInt32> indices) {
        return ops.linalg.matMul(
            ops.gather(value, indices, ops.constant(0)), ops.math.sin(ops.identity(value)));
      }
    },
    COLUMNS {
      @Override
      Operand<TFloat64> of(Ops ops, Operand<TFloat64> value, Operand<TInt32> indices) {
        return ops.math.sin(ops.gather(value, indices, ops.constant(1)));
      }
    };

    abstract Operand<TFloat64> of(Ops ops, Operand<TFloat64> value, Operand<TInt32> indices);
  }

  private DataParallel<TFloat64> gathering(Gather gather, Operand<TFloat64> value) {
    return DataParallel.split(
        tf,
        TWO,
        List.of(tf.array(0, 1, 1, 1)),
        (ops, part) -> mean(ops, gather.of(ops, value, part.input(0, TInt32.class))));
  }

  private static Operand<TFloat64> matrix(Ops tf) {
    return tf.constant(new double[][] {{1, 2}, {3, 4}});
  }

  @ParameterizedTest
  @EnumSource
  void towersGatherFromWhatIsElsewhere(Gather gather) {
    for (VariableKind kind : VariableKind.values()) {
      Output<? extends TType> w = kind.create(on(tf, 0), kind.name(), matrix(tf.withInitScope()));
      Operand<TFloat64> value = kind.read(on(tf, 0), w, TFloat64.class);
      for (Operand<TFloat64> source : List.of(value, on(tf, 0).math.mul(value, value))) {
        DataParallel<TFloat64> loss = gathering(gather, source);
        double[] expected = nativeGradient(loss, w);
        GradAndVar<?> pair = new Adafactor(graph).computeGradients(loss, List.of(w)).get(0);
        Elements.assertClose(expected, elements(pair), 1e-15);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void towersGatherFromShardedVariables(Gather gather) {
    Mesh mesh = Mesh.virtualCpus("x=2");
    ShardedVariable<TFloat64> sharded =
        ShardedVariable.create(
            tf, "sharded", Layout.batchSharded(mesh, "x", 2), matrix(tf.withInitScope()));
    Operand<TFloat64> whole = tf.variable(matrix(tf.withInitScope()));
    Adafactor adafactor = Adafactor.builder(graph).mesh(mesh).build();
    Elements.assertClose(
        nativeGradient(gathering(gather, whole), whole.asOutput()),
        elements(adafactor.computeGradients(gathering(gather, sharded), List.of(sharded)).get(0)),
        1e-15);
  }

  @Test
  void rowsOfShardedVariablesAreThoseOfAllTowers() {
    Mesh mesh = Mesh.virtualCpus("x=2");
    ShardedVariable<TFloat64> sharded =
        ShardedVariable.create(
            tf, "sharded", Layout.batchSharded(mesh, "x", 2), matrix(tf.withInitScope()));
    Adafactor adafactor = Adafactor.builder(graph).mesh(mesh).build();
    Operand<TInt32> rows = tf.array(0, 1, 1, 1);
    GradAndVar<?> ofTheWhole =
        adafactor.computeGradients(lookup(ops -> sharded, rows), List.of(sharded)).get(0);
    GradAndVar<?> ofWholes =
        adafactor.computeGradients(lookup(sharded::read, rows), List.of(sharded)).get(0);
    for (GradAndVar<?> pair : List.of(ofTheWhole, ofWholes)) {
      IndexedSlices<?> slices = IndexedSlices.from(pair).orElseThrow();
      assertArrayEquals(new double[] {0, 1, 1, 1}, elements(slices.indices()));
      assertArrayEquals(
          new double[] {.125, .125, .125, .125, .125, .125, .125, .125}, elements(slices.values()));
    }
    // The numbers of a shard's rows are its own.
    DataParallel<TFloat64> ofShard = lookup(ops -> sharded.shard(0), tf.array(0, 0, 0, 0));
    assertArrayEquals(
        new double[] {.5, .5, 0, 0},
        elements(adafactor.computeGradients(ofShard, List.of(sharded)).get(0)));
  }

  private DataParallel<TFloat64> lookup(
      Function<Ops, Operand<TFloat64>> table, Operand<TInt32> rows) {
    return DataParallel.split(
        tf,
        TWO,
        List.of(rows),
        (ops, part) ->
            mean(ops, ops.gather(table.apply(ops), part.input(0, TInt32.class), ops.constant(0))));
  }

  @Test
  void gradientsOfRowsAndOfAllAddUp() {
    Output<? extends TType> table = variable(VariableKind.REFERENCE, "table", 1, 2, 3, 4, 5);
    Operand<TFloat64> value = table.expect(TFloat64.class);
    DataParallel<TFloat64> loss =
        DataParallel.ofParts(
            tf,
            List.of("/device:CPU:0", "/device:CPU:1", "/device:CPU:2"),
            List.of(
                new DataParallel.Part(List.of(tf.array(1, 1, 4))),
                new DataParallel.Part(List.of(tf.array(2L, 1L))),
                new DataParallel.Part(List.of(zeros(4)))),
            (ops, part) ->
                mean(
                    ops,
                    ops.math.sin(
                        switch (part.inputs().get(0).asOutput().dataType()) {
                          case DT_INT32 ->
                              ops.gather(value, part.input(0, TInt32.class), ops.constant(0));
                          case DT_INT64 ->
                              ops.gather(value, part.input(0, TInt64.class), ops.constant(0));
                          default -> value;
                        })));
    double[] expected = nativeGradient(loss, table);
    GradAndVar<?> pair = new Adafactor(graph).computeGradients(loss, List.of(table)).get(0);
    assertEquals(Optional.empty(), IndexedSlices.from(pair));
    Elements.assertClose(expected, elements(pair), 1e-15);
  }

  static Stream<Class<? extends TNumber>> halves() {
    return Stream.of(TFloat16.class, TBfloat16.class);
  }

  /** 334 is a number of both types; a third of 1000 in either is not near enough. */
  @ParameterizedTest
  @MethodSource("halves")
  <T extends TNumber> void meansOfHalfPrecisionAreTakenInFloat32(Class<T> type) {
    Variable<T> w = tf.withName("w").variable(Elements.constant(tf, type, Shape.of(1), 1));
    DataParallel<T> loss =
        DataParallel.split(
            tf,
            List.of("/device:CPU:0", "/device:CPU:1", "/device:CPU:2"),
            List.of(Elements.constant(tf, type, Shape.of(3), 1000, 1, 1)),
            (ops, part) ->
                ops.reshape(
                    ops.math.mul(part.input(0, type), ops.identity(w)), ops.constant(new int[0])));
    GradAndVar<?> pair = loss.gradients(List.of(w)).get(0);
    assertEquals(type, pair.getGradient().type());
    assertEquals(type, loss.type());
    assertArrayEquals(new double[] {334}, elements(pair));
    assertArrayEquals(new double[] {334}, elements(loss));
  }

  @Test
  void otherOptimizersTakeTheGradients() {
    Output<? extends TType> table = variable(VariableKind.REFERENCE, "table", 1, 2, 3, 4, 5);
    Operand<TFloat64> value = table.expect(TFloat64.class);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            TWO,
            List.of(tf.array(1, 4, 1)),
            (ops, part) ->
                mean(ops, ops.gather(value, part.input(0, TInt32.class), ops.constant(0))));
    Op train =
        new GradientDescent(graph, 0.5f).applyGradients(loss.gradients(List.of(table)), "train");
    try (Session session = new Session(graph, true, CONFIG)) {
      session.run(train);
      double third = 0.5 / 3;
      assertArrayEquals(
          new double[] {1, 2 - 2 * third, 3, 4, 5 - third}, Elements.of(session, value), 1e-12);
    }
  }

  /** A gradient that a function computes, as models from Python have them. */
  @Test
  void gradientsByFunctionsRunOnTheDevice() {
    FunctionGradients.register();
    ConcreteFunction function = squared();
    graph.attachFunction(function);
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 2, 3);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            TWO,
            List.of(vector(1, 2, 6)),
            (ops, part) -> {
              Operand<TFloat64> x = ops.identity(w.expect(TFloat64.class));
              GraphOperationBuilder builder =
                  graph
                      .opBuilder("IdentityN", ops.scope().makeOpName("IdentityN"), ops.scope())
                      .addInputList(new Output<?>[] {x.asOutput()});
              GraphOperation op =
                  builder
                      .setAttr(FunctionGradients.FUNCTION, function.getDefinedName())
                      .setAttr(FunctionGradients.ARGUMENTS, new long[] {0, 1})
                      .setAttr(FunctionGradients.INPUTS, new long[] {0})
                      .build();
              return ops.math.mul(
                  mean(ops, part.input(0, TFloat64.class)), mean(ops, op.output(0)));
            });
    GradAndVar<?> pair = loss.gradients(List.of(w)).get(0);
    assertArrayEquals(new double[] {2 * 2 * 1.5, 3 * 3 * 1.5}, elements(pair), 1e-14);
    assertEquals(
        Set.of("/device:CPU:1"), devices(pair.getGradient(), "data_parallel/tower_1/gradients"));
  }

  /** The gradient of an identity, times the square of what comes through. */
  private static ConcreteFunction squared() {
    try (Graph inner = new Graph()) {
      Ops body = Ops.create(inner);
      Placeholder<TFloat64> value = body.placeholder(TFloat64.class);
      Placeholder<TFloat64> dy = body.placeholder(TFloat64.class);
      return ConcreteFunction.create(
          Signature.builder("squared")
              .input("value", value)
              .input("dy", dy)
              .output("result", body.math.mul(dy, body.math.square(value)))
              .build(),
          inner);
    }
  }

  /** TensorFlow ends the process over some of them. */
  @Test
  void gradientsOfLoopsAreRefused() {
    Output<? extends TType> w = variable(VariableKind.REFERENCE, "w", 3);
    Output<? extends TType> v = variable(VariableKind.REFERENCE, "v", 2);
    DataParallel<TFloat64> loss =
        DataParallel.split(
            tf,
            TWO,
            List.of(vector(1, 2, 6)),
            (ops, part) ->
                cubed(
                    ops,
                    mean(ops, part.input(0, TFloat64.class)),
                    mean(ops, w.expect(TFloat64.class))));
    assertArrayEquals(new double[] {81}, elements(loss), 1e-13);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> loss.gradients(List.of(w)));
    assertTrue(e.getMessage().contains("cannot compute the gradients of loops"), e.getMessage());
    DataParallel<TFloat64> constantLoop =
        DataParallel.split(
            tf,
            TWO,
            List.of(vector(1, 2, 6)),
            (ops, part) ->
                ops.math.mul(
                    cubed(ops, mean(ops, part.input(0, TFloat64.class)), ops.constant(3.0)),
                    mean(ops, v.expect(TFloat64.class))));
    assertArrayEquals(
        new double[] {81}, elements(constantLoop.gradients(List.of(v)).get(0)), 1e-13);
  }

  /** x·w³, by a loop. */
  private Operand<TFloat64> cubed(Ops tf, Operand<TFloat64> x, Operand<TFloat64> w) {
    Output<?>[] results =
        graph.whileLoop(
            new Output<?>[] {tf.constant(0).asOutput(), x.asOutput(), w.asOutput()},
            (condition, in, out) -> {
              Ops ops = Ops.create(condition);
              out[0] = ops.math.less(in[0].expect(TInt32.class), ops.constant(3)).asOutput();
            },
            (body, in, out) -> {
              Ops ops = Ops.create(body);
              Operand<TFloat64> factor = in[2].expect(TFloat64.class);
              out[0] = ops.math.add(in[0].expect(TInt32.class), ops.constant(1)).asOutput();
              out[1] = ops.math.mul(in[1].expect(TFloat64.class), factor).asOutput();
              out[2] = ops.identity(factor).asOutput();
            },
            tf.scope().makeOpName("loop"));
    return results[1].expect(TFloat64.class);
  }
}
