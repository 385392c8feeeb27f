package dev.adafactor.mesh;

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
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;
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

/** A network, an optimizer's step, and a session over the devices of a mesh. */
final class TowerTraining implements AutoCloseable {
  private static final int WIDTH = 6;
  private static final int WORDS = 3;
  private static final int VOCABULARY = 11;

  /** A name of those operations of a tower that TensorFlow adds for its gradients. */
  static final Pattern BACKWARD = Pattern.compile("data_parallel/tower_(\\d)/gradients/.*");

  /** Where the loss of a batch comes from. */
  interface Losses {
    Operand<TFloat64> of(Ops tf, List<Operand<?>> batch, DataParallel.Model<TFloat64> model);

    /** The whole batch, where TensorFlow wants it. */
    Losses UNDIVIDED = (tf, batch, model) -> model.loss(tf, new DataParallel.Part(batch));

    static Losses divided(List<String> devices) {
      return (tf, batch, model) -> DataParallel.split(tf, devices, batch, model);
    }
  }

  /** A model and its variables, which are on two devices. */
  private record Network(
      List<Output<? extends TType>> variables,
      List<Operand<TFloat64>> values,
      DataParallel.Model<TFloat64> model) {

    static Network dense(Ops first, Ops second, VariableKind kind) {
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
    static Network embedding(Ops first, Ops second, VariableKind kind) {
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

  /**
   * A session of the graph, whose initializers were run.
   *
   * @param explain says what is behind an error
   */
  record Opened(
      Session session, Runnable close, Function<TensorFlowException, RuntimeException> explain) {

    static Opened here(Graph graph, Mesh devices) {
      ConfigProto config = devices.config().toBuilder().setAllowSoftPlacement(false).build();
      Session session = new Session(graph, true, config);
      return new Opened(session, session::close, e -> e);
    }

    static Opened on(ClusterSession cluster) {
      cluster.session().initialize();
      return new Opened(cluster.session(), cluster::close, cluster::explain);
    }
  }

  private final Mesh devices;
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Placeholder<TFloat64> features;
  private final Placeholder<TInt32> words;
  private final Placeholder<TFloat64> labels;
  private final Network network;
  private final Operand<TFloat64> loss;
  private final Op train;
  private final Opened opened;

  /**
   * @param rows of a batch; -1 if the graph is not to know
   * @param devices the first two have the variables
   * @param opener opens a session of the graph, with its initializers run
   */
  TowerTraining(
      VariableKind kind,
      boolean sparse,
      int rows,
      Mesh devices,
      Losses losses,
      Function<Graph, Opened> opener) {
    this.devices = devices;
    features = tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(rows, WIDTH)));
    words = tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(rows, WORDS)));
    labels = tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(rows, 2)));
    Ops first = tf.withDevice(devices.device(0));
    Ops second = tf.withDevice(devices.device(1));
    network = sparse ? Network.embedding(first, second, kind) : Network.dense(first, second, kind);
    loss = losses.of(tf, List.of(features, words, labels), network.model());
    Adafactor adafactor =
        Adafactor.builder(graph)
            .learningRate(0.1)
            .weightDecay(0.01)
            .globalClipnorm(0.5)
            .useEma(true)
            .build();
    train = adafactor.minimize(loss, network.variables());
    opened = opener.apply(graph);
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
          opened
              .session()
              .runner()
              .feed(features, x)
              .feed(words, ids)
              .feed(labels, y)
              .fetch(loss)
              .addTarget(train);
      return options
          .map(given -> runner.setOptions(given).runAndFetchMetadata())
          .orElseGet(runner::run);
    } catch (TensorFlowException e) {
      throw opened.explain().apply(e);
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
    return Elements.of(opened.session(), tf.concat(flat, tf.constant(0)));
  }

  /** By device: the towers whose gradients are among what it runs in a step. */
  Map<String, Set<Integer>> towers(int rows) {
    RunOptions options = RunOptions.newBuilder().setOutputPartitionGraphs(true).build();
    try (Result result = step(rows, 1, Optional.of(options))) {
      Map<String, Set<Integer>> towers = new TreeMap<>();
      for (GraphDef part : result.getMetadata().orElseThrow().getPartitionGraphsList()) {
        part.getNodeList().stream()
            .map(node -> BACKWARD.matcher(node.getName()))
            .filter(Matcher::matches)
            .forEach(
                backward ->
                    towers
                        .computeIfAbsent(device(part.getNode(0).getDevice()), on -> new TreeSet<>())
                        .add(Integer.valueOf(backward.group(1))));
      }
      return towers;
    }
  }

  /** The devices that compute a product of matrices in a step, of operations of some names. */
  Set<String> devicesOfProducts(int rows, Pattern names) {
    RunOptions trace =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Result result = step(rows, 1, Optional.of(trace))) {
      return result.getMetadata().orElseThrow().getStepStats().getDevStatsList().stream()
          .filter(
              device ->
                  device.getNodeStatsList().stream()
                      .map(NodeExecStats::getNodeName)
                      .filter(name -> names.matcher(name).matches())
                      .anyMatch(name -> isProduct(graph.operation(name))))
          .map(device -> device(device.getDevice()))
          .collect(Collectors.toSet());
    }
  }

  private static boolean isProduct(GraphOperation op) {
    return op != null && op.type().equals("MatMul");
  }

  /** The mesh's name of a device, which TensorFlow gives in full. */
  private String device(String name) {
    return devices.devices().stream()
        .filter(name.replace("/replica:0", "")::endsWith)
        .findFirst()
        .orElse(name);
  }

  @Override
  public void close() {
    opened.close().run();
    graph.close();
  }

  private static TFloat64 doubles(Random random, int rows, int columns) {
    Shape shape = Shape.of(rows, columns);
    return Elements.tensor(shape, random.doubles(shape.size(), -1, 1).toArray());
  }
}
