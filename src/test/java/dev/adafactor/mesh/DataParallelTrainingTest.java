package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.Elements;
import dev.adafactor.VariableKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

class DataParallelTrainingTest {

  private static final int CPUS = 4;
  private static final int STEPS = 4;
  private static final int WIDTH = 6;
  private static final int WORDS = 3;
  private static final int VOCABULARY = 11;

  private static final ConfigProto CONFIG =
      ConfigProto.newBuilder().putDeviceCount("CPU", CPUS).setAllowSoftPlacement(false).build();

  private static List<String> cpus(int count) {
    return IntStream.range(0, count).mapToObj(i -> "/device:CPU:" + i).toList();
  }

  private static Ops on(Ops tf, int cpu) {
    return tf.withDevice(
        DeviceSpec.newBuilder().deviceType(DeviceSpec.DeviceType.CPU).deviceIndex(cpu).build());
  }

  /** Where the loss of a batch comes from. */
  private interface Losses {
    Operand<TFloat64> of(Ops tf, List<Operand<?>> batch, DataParallel.Model<TFloat64> model);

    /** The whole batch, where TensorFlow wants it. */
    Losses UNDIVIDED = (tf, batch, model) -> model.loss(tf, new DataParallel.Part(batch));

    static Losses divided(int devices) {
      return (tf, batch, model) -> DataParallel.split(tf, cpus(devices), batch, model);
    }
  }

  /** A model with its variables, and a batch of random numbers for it. */
  private record Network(
      List<Output<? extends TType>> variables,
      List<Operand<TFloat64>> values,
      DataParallel.Model<TFloat64> model) {

    /** The variables are on the first two devices. */
    static Network dense(Ops tf, VariableKind kind) {
      Ops first = on(tf, 0);
      Ops second = on(tf, 1);
      List<Output<? extends TType>> variables =
          List.of(
              variable(first, kind, "w1", Shape.of(WIDTH, 5), 1),
              variable(second, kind, "b1", Shape.of(5), 2),
              variable(second, kind, "w2", Shape.of(5, 2), 3));
      Operand<TFloat64> w1 = kind.read(first, variables.get(0), TFloat64.class);
      Operand<TFloat64> b1 = kind.read(second, variables.get(1), TFloat64.class);
      Operand<TFloat64> w2 = kind.read(second, variables.get(2), TFloat64.class);
      return new Network(
          variables,
          List.of(w1, b1, w2),
          (ops, part) -> {
            Operand<TFloat64> x = part.input(0, TFloat64.class);
            Operand<TFloat64> hidden = ops.math.tanh(ops.math.add(ops.linalg.matMul(x, w1), b1));
            return loss(ops, ops.linalg.matMul(hidden, w2), part);
          });
    }

    /** Rows of a table, their mean, and a matrix. */
    static Network embedding(Ops tf, VariableKind kind) {
      Ops first = on(tf, 0);
      Ops second = on(tf, 1);
      List<Output<? extends TType>> variables =
          List.of(
              variable(second, kind, "table", Shape.of(VOCABULARY, 5), 4),
              variable(first, kind, "w", Shape.of(5, 2), 5));
      Operand<TFloat64> table = kind.read(second, variables.get(0), TFloat64.class);
      Operand<TFloat64> w = kind.read(first, variables.get(1), TFloat64.class);
      return new Network(
          variables,
          List.of(table, w),
          (ops, part) -> {
            Operand<TFloat64> rows =
                ops.gather(table, part.input(1, TInt32.class), ops.constant(0));
            Operand<TFloat64> mean = ops.math.tanh(ops.math.mean(rows, ops.constant(1)));
            return loss(ops, ops.linalg.matMul(mean, w), part);
          });
    }

    private static Output<? extends TType> variable(
        Ops tf, VariableKind kind, String name, Shape shape, int seed) {
      double[] elements = new Random(seed).doubles(shape.size(), -1, 1).toArray();
      return kind.create(
          tf, name, Elements.constant(tf.withInitScope(), TFloat64.class, shape, elements));
    }

    private static Operand<TFloat64> loss(
        Ops tf, Operand<TFloat64> output, DataParallel.Part part) {
      Operand<TFloat64> label = part.input(2, TFloat64.class);
      return tf.math.mean(tf.math.squaredDifference(output, label), tf.array(0, 1));
    }
  }

  /** A network, an optimizer's step, and a session over several devices. */
  private static final class Training implements AutoCloseable {
    private final Graph graph = new Graph();
    private final Ops tf = Ops.create(graph);
    private final Placeholder<TFloat64> features;
    private final Placeholder<TInt32> words;
    private final Placeholder<TFloat64> labels;
    private final Network network;
    private final Operand<TFloat64> loss;
    private final Op train;
    private final Session session;

    /**
     * @param rows of a batch; -1 if the graph is not to know
     */
    Training(VariableKind kind, boolean sparse, int rows, Losses losses) {
      features = tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(rows, WIDTH)));
      words = tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(rows, WORDS)));
      labels = tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(rows, 2)));
      network = sparse ? Network.embedding(tf, kind) : Network.dense(tf, kind);
      loss = losses.of(tf, List.of(features, words, labels), network.model());
      Adafactor adafactor =
          Adafactor.builder(graph)
              .learningRate(0.1)
              .weightDecay(0.01)
              .globalClipnorm(0.5)
              .useEma(true)
              .build();
      train = adafactor.minimize(loss, network.variables());
      session = new Session(graph, true, CONFIG);
    }

    Result step(int rows, int seed, Optional<RunOptions> options) {
      Random random = new Random(seed);
      try (TFloat64 x = doubles(random, rows, WIDTH);
          TInt32 ids =
              TInt32.tensorOf(
                  Shape.of(rows, WORDS),
                  DataBuffers.of(random.ints((long) rows * WORDS, 0, VOCABULARY).toArray()));
          TFloat64 y = doubles(random, rows, 2)) {
        Session.Runner runner =
            session
                .runner()
                .feed(features, x)
                .feed(words, ids)
                .feed(labels, y)
                .fetch(loss)
                .addTarget(train);
        return options
            .map(given -> runner.setOptions(given).runAndFetchMetadata())
            .orElseGet(runner::run);
      }
    }

    double step(int rows, int seed) {
      try (Result result = step(rows, seed, Optional.empty())) {
        return ((TFloat64) result.get(0)).getDouble();
      }
    }

    double[] variables() {
      List<Operand<TFloat64>> flat = new ArrayList<>();
      network.values().forEach(value -> flat.add(tf.reshape(value, tf.array(-1))));
      return Elements.of(session, tf.concat(flat, tf.constant(0)));
    }

    /** What each device runs in a step, as a graph of its own. */
    Map<String, GraphDef> partition(int rows) {
      RunOptions options = RunOptions.newBuilder().setOutputPartitionGraphs(true).build();
      try (Result result = step(rows, 1, Optional.of(options))) {
        Map<String, GraphDef> devices = new TreeMap<>();
        for (GraphDef part : result.getMetadata().orElseThrow().getPartitionGraphsList()) {
          devices.put(shortName(part.getNode(0).getDevice()), part);
        }
        return devices;
      }
    }

    @Override
    public void close() {
      session.close();
      graph.close();
    }

    private static TFloat64 doubles(Random random, int rows, int columns) {
      Shape shape = Shape.of(rows, columns);
      return Elements.tensor(shape, random.doubles(shape.size(), -1, 1).toArray());
    }
  }

  static Stream<Arguments> trainings() {
    return Stream.of(VariableKind.values())
        .flatMap(
            kind ->
                Stream.of(false, true)
                    .flatMap(
                        sparse ->
                            Stream.of(1, 2, 4)
                                .map(devices -> Arguments.of(kind, sparse, devices))));
  }

  @ParameterizedTest
  @MethodSource("trainings")
  void trainsAsOnTheWholeBatch(VariableKind kind, boolean sparse, int devices) {
    trainsAsOnTheWholeBatch(kind, sparse, devices, 8, 8);
    trainsAsOnTheWholeBatch(kind, sparse, devices, 7, -1);
  }

  /** Where the graph knows how many rows each device gets. */
  @Test
  void unevenPartsCountByTheirRows() {
    trainsAsOnTheWholeBatch(VariableKind.REFERENCE, false, 4, 7, 7);
    trainsAsOnTheWholeBatch(VariableKind.RESOURCE, true, 3, 8, 8);
  }

  private static void trainsAsOnTheWholeBatch(
      VariableKind kind, boolean sparse, int devices, int rows, int known) {
    try (Training whole = new Training(kind, sparse, known, Losses.UNDIVIDED);
        Training divided = new Training(kind, sparse, known, Losses.divided(devices))) {
      assertArrayEquals(whole.variables(), divided.variables());
      for (int step = 0; step < STEPS; step++) {
        assertEquals(whole.step(rows, step), divided.step(rows, step), 1e-12);
      }
      Elements.assertClose(whole.variables(), divided.variables(), 1e-12);
    }
  }

  @ParameterizedTest
  @EnumSource
  void batchesOfAnySizeFollowEachOther(VariableKind kind) {
    try (Training whole = new Training(kind, true, -1, Losses.UNDIVIDED);
        Training divided = new Training(kind, true, -1, Losses.divided(3))) {
      for (int rows : new int[] {3, 10, 4, 17}) {
        assertEquals(whole.step(rows, rows), divided.step(rows, rows), 1e-12);
      }
      Elements.assertClose(whole.variables(), divided.variables(), 1e-12);
    }
  }

  @ParameterizedTest
  @EnumSource
  void tooFewRowsChangeNothing(VariableKind kind) {
    try (Training training = new Training(kind, true, -1, Losses.divided(4))) {
      double[] before = training.variables();
      TFInvalidArgumentException e =
          assertThrows(TFInvalidArgumentException.class, () -> training.step(3, 1));
      assertTrue(e.getMessage().contains("part 4 of 4 of the batch has no row"), e.getMessage());
      assertArrayEquals(before, training.variables());
    }
  }

  /** A name of those operations of a tower that TensorFlow adds for its gradients. */
  private static final Pattern BACKWARD = Pattern.compile("data_parallel/tower_(\\d)/gradients/.*");

  @ParameterizedTest
  @MethodSource("trainings")
  void gradientsRunOnTheDeviceOfTheirTower(VariableKind kind, boolean sparse, int devices) {
    try (Training training = new Training(kind, sparse, -1, Losses.divided(devices))) {
      Map<String, Set<String>> towers = new TreeMap<>();
      training
          .partition(9)
          .forEach(
              (device, part) ->
                  part.getNodeList().stream()
                      .map(node -> BACKWARD.matcher(node.getName()))
                      .filter(Matcher::matches)
                      .forEach(
                          backward ->
                              towers
                                  .computeIfAbsent(device, on -> new TreeSet<>())
                                  .add("/device:CPU:" + backward.group(1))));
      Map<String, Set<String>> expected = new TreeMap<>();
      cpus(devices).forEach(cpu -> expected.put(cpu, Set.of(cpu)));
      assertEquals(expected, towers);
      assertEquals(Set.copyOf(cpus(devices)), devicesOfProducts(training, BACKWARD));
    }
  }

  /** That the test above would tell. */
  @ParameterizedTest
  @EnumSource
  void tensorFlowsOwnGradientsAreComputedOnOneDevice(VariableKind kind) {
    Losses unpinned = (tf, batch, model) -> tf.identity(Losses.divided(4).of(tf, batch, model));
    try (Training training = new Training(kind, false, -1, unpinned)) {
      assertEquals(
          Set.of("/device:CPU:0"), devicesOfProducts(training, Pattern.compile("gradients/.*")));
    }
  }

  /** The devices that compute a product of matrices, of operations of some names. */
  private static Set<String> devicesOfProducts(Training training, Pattern names) {
    RunOptions trace =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Result result = training.step(9, 1, Optional.of(trace))) {
      return result.getMetadata().orElseThrow().getStepStats().getDevStatsList().stream()
          .filter(
              device ->
                  device.getNodeStatsList().stream()
                      .map(NodeExecStats::getNodeName)
                      .filter(name -> names.matcher(name).matches())
                      .anyMatch(name -> isProduct(training.graph.operation(name))))
          .map(device -> shortName(device.getDevice()))
          .collect(Collectors.toSet());
    }
  }

  private static boolean isProduct(GraphOperation op) {
    return op != null && op.type().equals("MatMul");
  }

  private static String shortName(String device) {
    return device.replaceFirst("^.*/device:", "/device:");
  }
}
