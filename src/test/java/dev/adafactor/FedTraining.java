package dev.adafactor;

import dev.adafactor.graph.CompiledCalls;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Variables, an optimizer and a session: takes steps with gradients that are given as numbers. */
final class FedTraining implements AutoCloseable {

  /** A variable at its start. */
  record Start(Class<? extends TNumber> type, Shape shape, List<Double> elements) {
    Start(Class<? extends TNumber> type, Shape shape, double... elements) {
      this(type, shape, DoubleStream.of(elements).boxed().toList());
    }
  }

  private final VariableKind kind;
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final List<Start> starts;
  private final List<Output<? extends TType>> variables = new ArrayList<>();
  private final List<Placeholder<TFloat64>> gradients = new ArrayList<>();
  private final List<Operand<TFloat64>> values = new ArrayList<>();
  private final Adafactor adafactor;
  private final Op train;
  private final Session session;

  FedTraining(VariableKind kind, UnaryOperator<Adafactor.Builder> arguments, Start... starts) {
    this.kind = kind;
    this.starts = List.of(starts);
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (Start start : starts) {
      pairs.add(add(start.type(), start));
    }
    adafactor = arguments.apply(Adafactor.builder(graph)).build();
    train = adafactor.applyGradients(pairs, "train");
    session =
        new Session(graph, true, ConfigProto.newBuilder().setInterOpParallelismThreads(4).build());
  }

  private static double[] elements(Start start) {
    return start.elements().stream().mapToDouble(Double::doubleValue).toArray();
  }

  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  private <T extends TNumber> GradAndVar<? extends TType> add(Class<T> type, Start start) {
    int i = variables.size();
    Output<? extends TType> variable =
        kind.create(tf, "w" + i, Elements.constant(tf, type, start.shape(), elements(start)));
    variables.add(variable);
    values.add(tf.dtypes.cast(kind.read(tf, variable, type), TFloat64.class));
    Placeholder<TFloat64> fed = tf.placeholder(TFloat64.class, Placeholder.shape(start.shape()));
    gradients.add(fed);
    return new GradAndVar<>(tf.dtypes.cast(fed, type).asOutput(), (Output<T>) (Output<?>) variable);
  }

  Adafactor adafactor() {
    return adafactor;
  }

  Snapshot snapshot() {
    return adafactor.snapshot(session);
  }

  void restore(Snapshot snapshot) {
    adafactor.restore(session, snapshot);
  }

  /** Takes a step with the gradients of the variables. */
  void step(double[]... elements) {
    step(Session.Runner::run, elements).close();
  }

  /** Takes a step and gives some of its scalars. */
  double[] step(List<? extends Operand<? extends TNumber>> scalars, double[]... elements) {
    List<Operand<TFloat64>> fetched =
        scalars.stream()
            .<Operand<TFloat64>>map(scalar -> tf.dtypes.cast(scalar, TFloat64.class))
            .toList();
    try (Result result =
        step(
            runner -> {
              fetched.forEach(runner::fetch);
              return runner.run();
            },
            elements)) {
      return IntStream.range(0, fetched.size())
          .mapToDouble(i -> ((TFloat64) result.get(i)).getDouble())
          .toArray();
    }
  }

  UpdateStatistics<?> statistics(int i) {
    return adafactor.statistics(variables.get(i));
  }

  long operations() {
    long[] count = {0};
    graph.operations().forEachRemaining(op -> count[0]++);
    return count[0];
  }

  /** Takes a step and gives what ran. */
  List<NodeExecStats> stepStats(double[]... elements) {
    return trace(elements).getDevStatsList().stream()
        .flatMap(device -> device.getNodeStatsList().stream())
        .toList();
  }

  /** Takes a step and gives what of it was compiled. */
  CompiledCalls compiledCalls(double[]... elements) {
    return CompiledCalls.of(graph, trace(elements));
  }

  private StepStats trace(double[]... elements) {
    RunOptions options =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Result result =
        step(runner -> runner.setOptions(options).runAndFetchMetadata(), elements)) {
      return result.getMetadata().orElseThrow().getStepStats();
    }
  }

  void setLearningRate(double rate) {
    adafactor.setLearningRate(session, rate);
  }

  private Result step(Function<Session.Runner, Result> run, double[]... elements) {
    Session.Runner runner = session.runner().addTarget(train);
    List<TFloat64> fed = new ArrayList<>();
    try {
      for (int i = 0; i < elements.length; i++) {
        fed.add(Elements.tensor(starts.get(i).shape(), elements[i]));
        runner.feed(gradients.get(i), fed.get(i));
      }
      return run.apply(runner);
    } finally {
      fed.forEach(TFloat64::close);
    }
  }

  /** Makes the next step that of an optimizer which has taken some already. */
  void setIterations(long iterations) {
    session.run(tf.assign(adafactor.iterations(), tf.constant(iterations)));
  }

  double[] variable(int i) {
    return Elements.of(session, values.get(i));
  }

  double[] slot(int i, String name) {
    Operand<? extends TNumber> slot =
        adafactor.<TNumber>getSlot(typed(variables.get(i)), name).orElseThrow();
    return Elements.of(session, tf.dtypes.cast(slot, TFloat64.class));
  }

  double[] secondMoment(int i) {
    return Elements.of(
        session, tf.dtypes.cast(adafactor.secondMoment(variables.get(i)), TFloat64.class));
  }

  /** All slots of a variable's second moment. */
  Stream<double[]> state(int i) {
    return starts.get(i).shape().numDimensions() < 2
        ? Stream.of(slot(i, Adafactor.V))
        : Stream.of(slot(i, Adafactor.R), slot(i, Adafactor.C));
  }

  @SuppressWarnings("unchecked")
  private static Output<TNumber> typed(Output<?> variable) {
    return (Output<TNumber>) variable;
  }

  @Override
  public void close() {
    session.close();
    graph.close();
  }
}
