package dev.adafactor.mesh;

import static dev.adafactor.checkpoint.Content.Judge.TAKES_ALL;

import dev.adafactor.Adafactor;
import dev.adafactor.Snapshot;
import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.checkpoint.TrainingState;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** A small job: a layer on each process of a cluster, trained by the data of each step's number. */
final class PinnedTraining implements AutoCloseable {
  private static final int WIDTH = 24;
  private static final int ROWS = 16;

  private final Graph graph = new Graph();
  private final List<Variable<TFloat32>> variables = new ArrayList<>();
  private final Placeholder<TFloat32> input;
  private final Adafactor adafactor;
  private final Op train;
  private final ClusterSession opened;
  private final Session session;
  private final TrainingState state;

  PinnedTraining(Cluster cluster, Duration timeout, UnaryOperator<Adafactor.Builder> arguments) {
    Ops tf = Ops.create(graph);
    input = tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(ROWS, WIDTH)));
    Random random = new Random(7);
    Operand<TFloat32> layer = input;
    for (Task task : cluster.tasks()) {
      Ops there = tf.withDevice(task.device());
      Variable<TFloat32> kernel =
          there
              .withName("kernel" + task.index())
              .variable(there.constant(StdArrays.ndCopyOf(matrix(random, WIDTH))));
      variables.add(kernel);
      layer = there.math.tanh(there.linalg.matMul(layer, kernel));
    }
    Operand<TFloat32> loss = tf.nn.l2Loss(tf.math.sub(layer, input));
    adafactor = arguments.apply(Adafactor.builder(graph)).build();
    train = adafactor.minimize(loss);
    opened = ClusterSession.open(cluster, timeout, graph, ConfigProto.getDefaultInstance());
    session = opened.session();
    try {
      session.initialize();
      state = TrainingState.of(session, adafactor, List.of());
    } catch (TensorFlowException e) {
      RuntimeException explained = opened.explain(e);
      opened.close();
      throw explained;
    }
  }

  private static float[][] matrix(Random random, int rows) {
    float[][] elements = new float[rows][WIDTH];
    for (float[] row : elements) {
      for (int i = 0; i < WIDTH; i++) {
        row[i] = (float) random.nextGaussian() / 4;
      }
    }
    return elements;
  }

  /** Takes the step that comes after those that were taken. */
  void step() {
    try (TFloat32 rows =
        TFloat32.tensorOf(StdArrays.ndCopyOf(matrix(new Random(1000 + iterations()), ROWS)))) {
      session.runner().feed(input, rows).addTarget(train).run().close();
    } catch (TensorFlowException e) {
      throw opened.explain(e);
    }
  }

  /** Runs something else. */
  void run(Op op) {
    try {
      session.run(op);
    } catch (TensorFlowException e) {
      throw opened.explain(e);
    }
  }

  /** Takes steps until so many are taken in all. */
  void trainTo(long steps) {
    while (iterations() < steps) {
      step();
    }
  }

  long iterations() {
    try (TInt64 steps = (TInt64) session.runner().fetch(adafactor.iterations()).run().get(0)) {
      return steps.getLong();
    } catch (TensorFlowException e) {
      throw opened.explain(e);
    }
  }

  Graph graph() {
    return graph;
  }

  Session session() {
    return session;
  }

  Adafactor adafactor() {
    return adafactor;
  }

  Snapshot snapshot() {
    try {
      return adafactor.snapshot(session);
    } catch (TensorFlowException e) {
      throw opened.explain(e);
    }
  }

  void save(Path folder) throws IOException {
    save(folder, iterations());
  }

  void save(Path folder, long steps) throws IOException {
    new CheckpointFolder(folder, 2).save(state, steps, "");
  }

  /** Puts back what was saved last, if anything was. */
  void resume(Path folder) throws IOException {
    new CheckpointFolder(folder, 2).resume(state, TAKES_ALL);
  }

  @Override
  public void close() {
    opened.close();
    graph.close();
  }
}
