package dev.adafactor;

import dev.adafactor.graph.CompiledFunction;
import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.Names;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * The updates by an {@link UpdateRule}, each variable for itself, in one piece, and compiled where
 * that is asked for.
 */
final class WholeUpdateStep implements UpdateStep {

  private final Constants constants;
  private final Ops ops;
  private final Ops gated;
  private final UpdateRule rule;
  private final boolean jitCompile;
  private final SharedScalars scalars;
  private final Map<FunctionKey, CompiledFunction> functions = new HashMap<>();

  private record FunctionKey(Class<?> type, Shape shape) {}

  /**
   * @param gate runs when every gradient is known: nothing is written before
   */
  WholeUpdateStep(
      Constants constants, Op gate, UpdateRule rule, boolean jitCompile, SharedScalars scalars) {
    this.constants = constants;
    this.ops = constants.ops();
    this.gated = ops.withControlDependencies(List.of(gate));
    this.rule = rule;
    this.jitCompile = jitCompile;
    this.scalars = scalars;
  }

  @Override
  public List<Updated> update(List<UpdateTask> tasks) {
    return tasks.stream().map(task -> update(task.variable(), task, task.gradient(ops))).toList();
  }

  private <T extends TNumber, C extends TNumber> Updated update(
      VariableView<T> variable, UpdateTask task, Operand<C> gradient) {
    Operand<T> w =
        task.before().isEmpty()
            ? variable.read(ops)
            : variable.readAfter(ops, Group.of(ops, task.before()));
    SecondMoment<C> before = task.state().secondMoment();
    if (jitCompile) {
      return compiled(variable, task.state(), before, gradient, w);
    }
    Class<C> computeType = gradient.type();
    UpdateRule.Step<C> step =
        rule.step(
            constants,
            scalars.of(computeType, variable.type()),
            gradient,
            cast(ops, w, computeType),
            before);
    return new Updated(
        rule.apply(ops, gated, variable, w, step.rate(), step.direction()),
        task.state().assign(gated, step.state().parts()),
        step.statistics());
  }

  @SuppressWarnings("unchecked") // As the body of the function gives them.
  private <T extends TNumber, C extends TNumber> Updated compiled(
      VariableView<T> variable,
      VariableState state,
      SecondMoment<C> before,
      Operand<C> gradient,
      Operand<T> w) {
    List<Operand<?>> arguments = new ArrayList<>();
    arguments.add(gradient);
    arguments.add(w);
    arguments.addAll(before.parts());
    Scalars<C> shared = scalars.of(gradient.type(), variable.type());
    arguments.addAll(shared.parts());
    CompiledFunction function =
        functions.computeIfAbsent(
            new FunctionKey(variable.type(), variable.shape()),
            key -> function(variable, before, gradient.type()));
    List<Output<?>> results = function.call(ops, arguments);
    List<Operand<C>> parts = new ArrayList<>();
    results.subList(1, results.size()).forEach(part -> parts.add((Output<C>) part));
    int stateSize = before.parts().size();
    return new Updated(
        variable.assign(gated, (Output<T>) results.get(0)),
        state.assign(gated, parts.subList(0, stateSize)),
        new UpdateStatistics<>(
            shared.rho(),
            shared.beta2(),
            parts.get(stateSize),
            parts.get(stateSize + 1),
            parts.get(stateSize + 2),
            parts.get(stateSize + 3)));
  }

  /** The function (g, w, state, scalars) → (w, state, statistics of the variable). */
  @SuppressWarnings("unchecked") // The arguments have the types declared for them.
  private <T extends TNumber, C extends TNumber> CompiledFunction function(
      VariableView<T> variable, SecondMoment<C> state, Class<C> computeType) {
    int stateSize = state.parts().size();
    List<CompiledFunction.Argument> arguments = new ArrayList<>();
    arguments.add(new CompiledFunction.Argument(computeType, variable.shape()));
    arguments.add(new CompiledFunction.Argument(variable.type(), variable.shape()));
    for (Operand<C> part : state.parts()) {
      arguments.add(new CompiledFunction.Argument(computeType, part.shape()));
    }
    for (Operand<C> scalar : scalars.of(computeType, variable.type()).parts()) {
      arguments.add(new CompiledFunction.Argument(computeType, scalar.shape()));
    }
    String name = ops.scope().makeOpName("UpdateFunction");
    return CompiledFunction.create(
        (Graph) ops.scope().env(),
        Names.sanitize(name),
        arguments,
        (tf, inputs) -> {
          List<Operand<C>> parts = new ArrayList<>();
          inputs.subList(2, inputs.size()).forEach(input -> parts.add((Operand<C>) input));
          Operand<C> w = cast(tf, (Operand<T>) inputs.get(1), computeType);
          UpdateRule.Step<C> step =
              rule.step(
                  new Constants(tf),
                  Scalars.of(parts.subList(stateSize, parts.size())),
                  (Operand<C>) inputs.get(0),
                  w,
                  state.with(parts.subList(0, stateSize)));
          List<Operand<?>> results = new ArrayList<>();
          results.add(
              cast(
                  tf, tf.math.sub(w, tf.math.mul(step.rate(), step.direction())), variable.type()));
          results.addAll(step.state().parts());
          UpdateStatistics<C> statistics = step.statistics();
          results.addAll(
              List.of(
                  statistics.variableRms(),
                  statistics.alpha(),
                  statistics.updateRms(),
                  statistics.clipping()));
          return results;
        });
  }

  /** The operand itself where it is of the type already. */
  @SuppressWarnings("unchecked")
  static <C extends TNumber> Operand<C> cast(Ops tf, Operand<? extends TNumber> x, Class<C> type) {
    return x.type().equals(type) ? (Operand<C>) x : tf.dtypes.cast(x, type);
  }
}
