package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.VariableView;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;

/** The operations of a training job in a model's graph, and the session that runs them. */
final class TrainingGraph {

  /** What a batch came to, before any update. */
  record Measured(double loss, OptionalDouble accuracy) {}

  /** What a step came to: its batch before the update, and the rate of the update. */
  record Stepped(Measured measured, double learningRate) {}

  private final Session session;
  private final Operand<TFloat64> loss;
  private final List<Operand<TFloat32>> accuracy;
  private final Operand<TFloat32> train;
  private final Op finish;
  private final Operand<TBool> finite;

  /**
   * Adds the optimizer's operations and initializes its variables.
   *
   * @param variables handles of the variables to train
   */
  TrainingGraph(
      Session session, Objective objective, Adafactor adafactor, List<Output<?>> variables) {
    Ops tf = Ops.create(session.graph());
    this.session = session;
    this.loss = tf.dtypes.cast(objective.loss(), TFloat64.class);
    this.accuracy = objective.accuracy().stream().toList();
    Op update = adafactor.minimize(objective.loss(), variables);
    // Read after the update, the rate is that of this step; fetching it trains.
    this.train = tf.withControlDependencies(List.of(update)).identity(adafactor.learningRate());
    this.finish = adafactor.finalizeVariableValues();
    this.finite = tf.stack(variables.stream().map(handle -> isFinite(tf, handle)).toList());
    session.initialize();
  }

  /** Trains on a batch. */
  Stepped step(Examples.Batch batch) {
    try (Result result = run(session.runner().fetch(train), batch)) {
      return new Stepped(measured(result, 1), ((TFloat32) result.get(0)).getFloat());
    }
  }

  /** Takes loss and accuracy of a batch, and changes nothing. */
  Measured evaluate(Examples.Batch batch) {
    try (Result result = run(session.runner(), batch)) {
      return measured(result, 0);
    }
  }

  private Result run(Session.Runner runner, Examples.Batch batch) {
    batch.feed(runner);
    runner.fetch(loss);
    accuracy.forEach(runner::fetch);
    return runner.run();
  }

  private Measured measured(Result result, int first) {
    return new Measured(
        ((TFloat64) result.get(first)).getDouble(),
        accuracy.isEmpty()
            ? OptionalDouble.empty()
            : OptionalDouble.of(((TFloat32) result.get(first + 1)).getFloat()));
  }

  private static Operand<TBool> isFinite(Ops tf, Operand<?> variable) {
    Operand<TBool> elements =
        tf.math.isFinite(VariableView.of((Graph) tf.scope().env(), variable).read(tf));
    return tf.reduceAll(tf.reshape(elements, tf.constant(new int[] {-1})), tf.constant(0));
  }

  /** The first of the variables to train that has a value which is NaN or infinite. */
  OptionalInt notFinite() {
    try (Result result = session.runner().fetch(finite).run()) {
      TBool each = (TBool) result.get(0);
      return IntStream.range(0, (int) each.size()).filter(i -> !each.getBoolean(i)).findFirst();
    }
  }

  /** Gives the variables their final values: the moving averages, where they are in use. */
  void finish() {
    session.run(finish);
  }
}
