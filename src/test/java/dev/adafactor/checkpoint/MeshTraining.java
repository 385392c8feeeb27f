package dev.adafactor.checkpoint;

import dev.adafactor.Adafactor;
import dev.adafactor.ShardedGradient;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Variables in one piece or over a mesh, trained by gradients that follow from the step alone. */
final class MeshTraining implements AutoCloseable {

  /** A variable of a model. */
  record Weight(String name, Class<? extends TNumber> type, Shape shape) {}

  private final Optional<Mesh> mesh;
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Adafactor adafactor;
  private final Op train;
  private final Session session;
  private final TrainingState state;

  /**
   * @param mesh over which all are spread; empty for variables in one piece
   * @param beside variables that are not trained
   */
  MeshTraining(
      Optional<Mesh> mesh,
      UnaryOperator<Adafactor.Builder> arguments,
      List<Weight> weights,
      List<Weight> beside) {
    this.mesh = mesh;
    Adafactor.Builder builder = arguments.apply(Adafactor.builder(graph));
    mesh.ifPresent(builder::mesh);
    adafactor = builder.build();
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    weights.forEach(weight -> pairs.add(pair(weight, weight.type())));
    train = adafactor.applyGradients(pairs, "train");
    List<Operand<?>> others = new ArrayList<>();
    beside.forEach(weight -> others.add(variable(weight, weight.type())));
    session = new Session(graph, mesh.map(Mesh::config).orElse(ConfigProto.getDefaultInstance()));
    state = TrainingState.of(session, adafactor, others);
  }

  private <T extends TNumber> GradAndVar<? extends TType> pair(Weight weight, Class<T> type) {
    Operand<T> variable = variable(weight, type);
    Operand<TFloat64> step = tf.dtypes.cast(adafactor.iterations(), TFloat64.class);
    Operand<T> gradient =
        tf.dtypes.cast(tf.math.sin(tf.math.add(numbers(weight, 2.3), step)), type);
    return variable instanceof ShardedVariable<T> sharded
        ? ShardedGradient.ofWhole(gradient, sharded)
        : new GradAndVar<>(gradient.asOutput(), variable.asOutput());
  }

  private <T extends TNumber> Operand<T> variable(Weight weight, Class<T> type) {
    Operand<T> initial = tf.dtypes.cast(tf.math.cos(numbers(weight, 0.7)), type);
    if (mesh.isPresent()) {
      Layout layout = Layout.ofMatrices(mesh.get(), weight.shape());
      return ShardedVariable.create(tf, weight.name(), layout, initial);
    }
    // Not through Ops, which admits no slash in a name.
    Variable<T> variable =
        new Variable<>(
            graph
                .opBuilder("VariableV2", weight.name(), tf.scope())
                .setAttr("dtype", initial.asOutput().dataType())
                .setAttr("shape", weight.shape())
                .build());
    tf.withInitScope().assign(variable, initial);
    return variable;
  }

  private Operand<TFloat64> numbers(Weight weight, double factor) {
    double[] numbers = new double[Math.toIntExact(weight.shape().size())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = factor * (i + weight.name().length());
    }
    return tf.reshape(tf.constant(numbers), tf.constant(weight.shape().asArray()));
  }

  void train(int steps) {
    for (int step = 0; step < steps; step++) {
      session.run(train);
    }
  }

  Adafactor adafactor() {
    return adafactor;
  }

  Session session() {
    return session;
  }

  TrainingState state() {
    return state;
  }

  @Override
  public void close() {
    session.close();
    graph.close();
  }
}
