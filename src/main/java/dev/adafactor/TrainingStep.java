package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.Names;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * Builds one training step, in tf_keras's order: clipping, weight decay, update, moving average,
 * count of the step, where for each variable its constraint comes last.
 */
final class TrainingStep {

  private final Settings settings;
  private final Sites sites;
  private final Placement placement;
  private final Variable<TInt64> iterations;

  /** Runs when all gradients are known. */
  private final Op gate;

  private final LearningRate.OfStep rate;
  private final SharedScalars scalars;

  /** Whether the averages replace the variables. */
  private final Operand<TBool> overwriteDue;

  /** How the variables of each device are updated. */
  private final Map<Constants, UpdateStep> steps = new HashMap<>();

  /** How they are updated in pieces. */
  private final Map<Constants, PiecewiseUpdateStep> piecewise = new HashMap<>();

  private final Map<LogicalVariable, UpdateStatistics<?>> statistics = new HashMap<>();

  /** A variable to update and the gradient of each of its parts. */
  record Trained(KnownVariable known, LogicalGradient gradient) {}

  /**
   * The update that a variable needs.
   *
   * @param parts one for each of the variable's parts
   */
  private record Task(KnownVariable known, List<UpdateTask> parts) {
    LogicalVariable variable() {
      return known.variable();
    }
  }

  /**
   * Adds what all variables share: the learning rate and its kin.
   *
   * @param reads come before every write: no variable changes before another's gradient has read it
   */
  TrainingStep(
      Settings settings,
      Sites sites,
      Variable<TInt64> iterations,
      LearningRate learningRate,
      List<Op> reads) {
    this.settings = settings;
    this.sites = sites;
    this.placement = sites.placement();
    this.iterations = iterations;
    this.gate = Group.of(sites.ops(), reads);
    this.rate = learningRate.next(gate);
    this.scalars = new SharedScalars(sites.shared(), settings.config(), rate.value(), iterations);
    this.overwriteDue =
        settings
            .movingAverage()
            .map(average -> average.due(sites.shared().ops(), iterations))
            .orElse(null);
  }

  /**
   * Adds the step.
   *
   * @param name of its last operation
   * @return that operation
   */
  Op of(List<Trained> trained, String name) {
    List<List<GradientClipping.Placed>> values =
        trained.stream()
            .map(each -> each.gradient().parts().stream().map(this::placed).toList())
            .toList();
    List<List<Operand<? extends TNumber>>> clipped =
        GradientClipping.clip(sites.shared(), settings.config(), values);
    List<Task> tasks = new ArrayList<>();
    for (int i = 0; i < trained.size(); i++) {
      tasks.add(task(trained.get(i), clipped.get(i)));
    }
    List<Op> updates = new ArrayList<>(List.of(rate.kept()));
    updates.addAll(update(tasks));
    return counted(updates, name);
  }

  /** Of the variables that were updated. */
  Map<LogicalVariable, UpdateStatistics<?>> statistics() {
    return Collections.unmodifiableMap(statistics);
  }

  /** The gradient where its variable is, in the type of the computation. */
  private GradientClipping.Placed placed(Gradient g) {
    Constants beside = placement.beside(g.variable());
    return new GradientClipping.Placed(
        beside, g.values(beside.ops(), settings.rule().computeType(g.variable().type())));
  }

  /**
   * The update of a variable after its weight decay, which this adds.
   *
   * @param values of the gradient's parts
   */
  private Task task(Trained trained, List<? extends Operand<? extends TNumber>> values) {
    List<UpdateTask> parts = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      VariableState state = trained.known().parts().get(i);
      Gradient gradient = trained.gradient().parts().get(i);
      parts.add(
          new UpdateTask(
              state.variable(),
              state,
              values.get(i),
              gradient.indices(),
              decay(trained.known().variable(), state.variable())));
    }
    return new Task(trained.known(), parts);
  }

  /** The weight decay of a variable or shard; nothing where there is none. */
  private List<Op> decay(LogicalVariable variable, VariableView<?> part) {
    Constants beside = placement.beside(part);
    Ops gated = beside.ops().withControlDependencies(List.of(gate));
    return settings
        .weightDecay()
        .filter(decay -> decay.applies(variable))
        .map(decay -> List.of(decay.apply(beside, gated, part, rate.value())))
        .orElse(List.of());
  }

  /** Adds the updates of variables and of their state, and what follows them. */
  private List<Op> update(List<Task> tasks) {
    Map<Constants, List<Task>> byDevice = new LinkedHashMap<>();
    List<Task> inShards = new ArrayList<>();
    List<ShardedUpdateStep.Task> shards = new ArrayList<>();
    for (Task task : tasks) {
      if (task.variable() instanceof VariableInShards sharded) {
        inShards.add(task);
        shards.add(new ShardedUpdateStep.Task(sharded.layout(), task.parts()));
      } else {
        Constants beside = placement.beside(task.parts().get(0).variable());
        byDevice.computeIfAbsent(beside, key -> new ArrayList<>()).add(task);
      }
    }
    List<Op> all = new ArrayList<>();
    List<List<UpdateStep.Updated>> updatedShards = shardedUpdateStep().update(shards);
    for (int i = 0; i < inShards.size(); i++) {
      all.add(finished(inShards.get(i), updatedShards.get(i)));
    }
    byDevice.forEach(
        (beside, together) -> {
          List<UpdateStep.Updated> updated =
              steps
                  .computeIfAbsent(beside, this::updateStep)
                  .update(together.stream().map(task -> task.parts().get(0)).toList());
          for (int i = 0; i < together.size(); i++) {
            all.add(finished(together.get(i), List.of(updated.get(i))));
          }
        });
    return all;
  }

  /** For the variables of one device. */
  private UpdateStep updateStep(Constants beside) {
    return settings.updatesWholes()
        ? new WholeUpdateStep(beside, gate, settings.rule(), settings.jitCompile(), scalars)
        : piecewise(beside);
  }

  private PiecewiseUpdateStep piecewise(Constants beside) {
    return piecewise.computeIfAbsent(beside, key -> settings.inPieces(beside, scalars, gate));
  }

  private ShardedUpdateStep shardedUpdateStep() {
    return new ShardedUpdateStep(
        sites.shared(),
        settings.reduction(),
        scalars,
        task -> piecewise(placement.beside(task.variable())));
  }

  /**
   * Adds what follows the update of a variable.
   *
   * @param updated the updates of its parts
   * @return the last operation
   */
  private Op finished(Task task, List<UpdateStep.Updated> updated) {
    statistics.put(task.variable(), updated.get(0).statistics());
    List<Op> written = new ArrayList<>();
    for (int i = 0; i < updated.size(); i++) {
      written.add(averaged(task.known().parts().get(i), updated.get(i).write()));
    }
    Constraint constraint = settings.constraints().get(task.variable().key());
    List<Op> all = new ArrayList<>();
    if (constraint == null) {
      for (int i = 0; i < written.size(); i++) {
        all.add(task.variable().spread(placement, i, written.get(i), rows(task.parts().get(i))));
      }
    } else {
      all.add(
          constrained(task.known(), constraint, written, task.known().parts().get(0).variable()));
    }
    updated.forEach(each -> all.addAll(each.stateWrites()));
    Constants beside = placement.beside(task.parts().get(0).variable());
    return Group.of(beside.ops(), all);
  }

  /** Which rows of a variable an update and what follows it change; null for all. */
  private Operand<? extends TNumber> rows(UpdateTask task) {
    boolean overwritten = settings.movingAverage().filter(MovingAverage::overwrites).isPresent();
    boolean alone = PiecewiseUpdateStep.writesRowsAlone(task);
    return alone && task.before().isEmpty() && !overwritten ? task.indices() : null;
  }

  /** Adds the moving average of a variable or shard; gives the last write to it. */
  private Op averaged(VariableState state, Op written) {
    return settings
        .movingAverage()
        .map(average -> averaged(average, state.variable(), state, written))
        .orElse(written);
  }

  private <T extends TNumber> Op averaged(
      MovingAverage average, VariableView<T> variable, VariableState state, Op written) {
    return average.apply(
        placement.beside(variable), variable, state.average(), written, overwriteDue);
  }

  /**
   * Adds the constraint of a variable. One in shards is put together for it.
   *
   * @param written the last writes to the parts
   * @param kind one of the parts
   */
  private <T extends TNumber> Op constrained(
      KnownVariable known, Constraint constraint, List<Op> written, VariableView<T> kind) {
    Ops tf = placement.beside(kind).ops();
    List<Operand<T>> values = new ArrayList<>();
    for (int i = 0; i < written.size(); i++) {
      VariableView<T> part = VariableView.typed(known.parts().get(i).variable());
      values.add(part.readAfter(placement.beside(part).ops(), written.get(i)));
    }
    Operand<T> whole = known.variable().join(tf, placement, Snapshot.Form.VALUE, values);
    return known.setValue(tf, placement, constraint.call(tf, whole));
  }

  /** Adds the count of the step behind all updates. */
  private Op counted(List<Op> updates, String name) {
    List<Op> before = new ArrayList<>(updates);
    // A variable without elements needs none of them, but its statistics are this step's, too.
    before.addAll(scalars.beforeCounting());
    Ops ops = sites.ops();
    Op updated = Group.of(ops, before);
    Op counted =
        ops.withControlDependencies(List.of(updated)).assignAdd(iterations, ops.constant(1L));
    return ops.withControlDependencies(List.of(counted)).withName(Names.sanitize(name)).noOp();
  }
}
