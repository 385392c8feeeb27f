package dev.adafactor;

import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Variables, some of them sharded, an optimizer and a session with the devices of a mesh. */
final class ShardedTraining implements AutoCloseable {

  /** How the optimizer gets the gradient of a variable. */
  enum Way {
    /** By the derivative of a loss. */
    LOSS,
    /** As a tensor. */
    WHOLE,
    /** As rows of a tensor, which are given by their indices. */
    ROWS,
    /** By the derivative of a loss that rows of the variable are looked up for. */
    LOOKED_UP;

    boolean isOfRows() {
      return this == ROWS || this == LOOKED_UP;
    }
  }

  /**
   * A variable at its start.
   *
   * @param specs how it is sharded; empty for a variable in one piece
   */
  record Start(
      Class<? extends TNumber> type,
      Shape shape,
      Optional<List<String>> specs,
      Way way,
      List<Double> elements) {
    Start inOnePiece() {
      return new Start(type, shape, Optional.empty(), way, elements);
    }
  }

  /**
   * The gradient of a variable in a step.
   *
   * @param rows which; empty for all
   */
  record Fed(List<Double> elements, Optional<List<Long>> rows) {}

  private final Mesh mesh;
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final List<Start> starts;
  private final List<Operand<? extends TNumber>> variables = new ArrayList<>();
  private final List<Placeholder<TFloat64>> values = new ArrayList<>();
  private final List<Placeholder<TInt64>> rows = new ArrayList<>();
  private final Adafactor adafactor;
  private final Op train;
  private final Op finalize;
  private final Session session;

  /**
   * @param arguments of the optimizer; the variables are given, too
   */
  ShardedTraining(
      Mesh mesh,
      BiFunction<Adafactor.Builder, List<Operand<? extends TNumber>>, Adafactor.Builder> arguments,
      List<Start> starts) {
    this.mesh = mesh;
    this.starts = starts;
    starts.forEach(start -> variables.add(variable(start.type(), start)));
    adafactor = arguments.apply(Adafactor.builder(graph).mesh(mesh), variables).build();
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    List<Operand<TFloat64>> losses = new ArrayList<>();
    List<Operand<?>> differentiated = new ArrayList<>();
    for (int i = 0; i < starts.size(); i++) {
      add(starts.get(i), variables.get(i), pairs, losses, differentiated);
    }
    if (!losses.isEmpty()) {
      pairs.addAll(adafactor.computeGradients(tf.math.addN(losses), differentiated));
    }
    train = adafactor.applyGradients(pairs, "train");
    finalize = adafactor.finalizeVariableValues();
    session = new Session(graph, true, mesh.config());
  }

  private <T extends TNumber> Operand<T> variable(Class<T> type, Start start) {
    String name = "w" + variables.size();
    Operand<T> initial = Elements.constant(tf, type, start.shape(), array(start.elements()));
    if (start.specs().isPresent()) {
      return ShardedVariable.create(tf, name, new Layout(mesh, start.specs().get()), initial);
    }
    Variable<T> variable = tf.withName(name).variable(start.shape(), type);
    tf.withInitScope().assign(variable, initial);
    return variable;
  }

  private <T extends TNumber> void add(
      Start start,
      Operand<T> variable,
      List<GradAndVar<? extends TType>> pairs,
      List<Operand<TFloat64>> losses,
      List<Operand<?>> differentiated) {
    Shape shape =
        start.way().isOfRows() ? start.shape().tail().prepend(Shape.UNKNOWN_SIZE) : start.shape();
    Placeholder<TFloat64> fed = tf.placeholder(TFloat64.class, Placeholder.shape(shape));
    Placeholder<TInt64> indices =
        tf.placeholder(TInt64.class, Placeholder.shape(Shape.of(Shape.UNKNOWN_SIZE)));
    values.add(fed);
    rows.add(indices);
    Operand<T> gradient = tf.dtypes.cast(fed, variable.type());
    switch (start.way()) {
      case ROWS -> pairs.add(new IndexedSlices<>(gradient, indices).of(variable));
      case WHOLE ->
          pairs.add(
              variable instanceof ShardedVariable<T> sharded
                  ? ShardedGradient.ofWhole(gradient, sharded)
                  : new GradAndVar<>(gradient.asOutput(), variable.asOutput()));
      case LOSS, LOOKED_UP -> {
        Operand<T> used =
            start.way() == Way.LOSS ? variable : tf.gather(variable, indices, tf.constant(0));
        Operand<T> product = tf.math.mul(gradient, used);
        losses.add(tf.dtypes.cast(tf.reduceSum(product, axes(start.shape())), TFloat64.class));
        differentiated.add(variable);
      }
    }
  }

  private Operand<TInt32> axes(Shape shape) {
    return tf.constant(IntStream.range(0, shape.numDimensions()).toArray());
  }

  private static double[] array(List<Double> elements) {
    return elements.stream().mapToDouble(Double::doubleValue).toArray();
  }

  Adafactor adafactor() {
    return adafactor;
  }

  Graph graph() {
    return graph;
  }

  Session session() {
    return session;
  }

  List<Operand<? extends TNumber>> variables() {
    return variables;
  }

  /** Takes a step with the gradients of the variables. */
  void step(List<Fed> gradients) {
    run(gradients, session.runner(), Session.Runner::run).close();
  }

  /** Takes a step and tells what ran where. */
  StepStats trace(List<Fed> gradients) {
    RunOptions options =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Result result =
        run(gradients, session.runner().setOptions(options), Session.Runner::runAndFetchMetadata)) {
      return result.getMetadata().orElseThrow().getStepStats();
    }
  }

  /** Takes a step and gives the numbers that the update of the first variable came by. */
  double[] statistics(List<Fed> gradients) {
    UpdateStatistics<?> all = adafactor.statistics(variables.get(0));
    Session.Runner runner = session.runner();
    Stream.of(
            all.rho(), all.beta2(), all.variableRms(), all.alpha(), all.updateRms(), all.clipping())
        .forEach(runner::fetch);
    try (Result result = run(gradients, runner, Session.Runner::run)) {
      return IntStream.range(0, result.size())
          .mapToDouble(i -> Elements.copy(result.get(i))[0])
          .toArray();
    }
  }

  private Result run(
      List<Fed> gradients, Session.Runner runner, Function<Session.Runner, Result> run) {
    List<TNumber> fed = new ArrayList<>();
    try {
      for (int i = 0; i < starts.size(); i++) {
        Fed gradient = gradients.get(i);
        Shape shape = starts.get(i).shape();
        if (gradient.rows().isPresent()) {
          TInt64 indices =
              TInt64.vectorOf(gradient.rows().get().stream().mapToLong(Long::longValue).toArray());
          fed.add(indices);
          runner.feed(rows.get(i), indices);
          shape = shape.tail().prepend(gradient.rows().get().size());
        }
        TFloat64 elements = Elements.tensor(shape, array(gradient.elements()));
        fed.add(elements);
        runner.feed(values.get(i), elements);
      }
      return run.apply(runner.addTarget(train));
    } finally {
      fed.forEach(TNumber::close);
    }
  }

  void overwriteByAverages() {
    session.run(finalize);
  }

  Snapshot snapshot() {
    return adafactor.snapshot(session);
  }

  void restore(Snapshot snapshot) {
    adafactor.restore(session, snapshot);
  }

  /** What the devices have of a sharded variable; for each shard the values of its replicas. */
  List<List<TensorValue>> replicas(int variable) {
    ShardedVariable<?> sharded = (ShardedVariable<?>) variables.get(variable);
    List<List<TensorValue>> all = new ArrayList<>();
    for (Layout.Shard shard : sharded.layout().shards()) {
      List<TensorValue> ofShard = new ArrayList<>();
      for (int device : shard.devices()) {
        try (Result result = session.runner().fetch(sharded.shard(device)).run()) {
          ofShard.add(TensorValue.copyOf((TNumber) result.get(0)));
        }
      }
      all.add(ofShard);
    }
    return all;
  }

  @Override
  public void close() {
    session.close();
    graph.close();
  }
}
