package dev.adafactor;

import dev.adafactor.graph.CompiledFunction;
import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Names;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Slot;
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
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** The update of all variables in one step: applies an {@link UpdateRule} to each. */
final class UpdateStep {

  private final Placement placement;
  private final Ops gated;
  private final AdafactorConfig config;
  private final UpdateRule rule;
  private final boolean jitCompile;
  private final Operand<TFloat32> learningRate;
  private final Operand<TInt64> iterations;
  private final Map<List<Class<?>>, Scalars<?>> scalars = new HashMap<>();
  private final Map<FunctionKey, CompiledFunction> functions = new HashMap<>();

  private record FunctionKey(Class<?> type, Shape shape) {}

  /**
   * The update of a variable.
   *
   * @param write of the variable
   */
  record Updated(Op write, UpdateStatistics<?> statistics) {}

  /**
   * @param gated operations that run after every gradient is known: writes to variables
   */
  UpdateStep(
      Placement placement,
      Ops gated,
      AdafactorConfig config,
      UpdateRule rule,
      boolean jitCompile,
      Operand<TFloat32> learningRate,
      Operand<TInt64> iterations) {
    this.placement = placement;
    this.gated = gated;
    this.config = config;
    this.rule = rule;
    this.jitCompile = jitCompile;
    this.learningRate = learningRate;
    this.iterations = iterations;
  }

  /** The learning rate as it is, not the relative step. */
  Operand<TFloat32> learningRate() {
    return learningRate;
  }

  /**
   * Adds the update of a variable and of its state.
   *
   * @param gradient dense, of the variable's shape, of the rule's type of computation
   * @param w the variable's value, after weight decay
   * @param writes where the writes of the state are added
   */
  <T extends TNumber, C extends TNumber> Updated update(
      VariableView<T> variable,
      VariableState state,
      Operand<C> gradient,
      Operand<T> w,
      List<Op> writes) {
    Class<C> computeType = gradient.type();
    SecondMoment<C> before = state.secondMoment();
    if (jitCompile) {
      return compiled(variable, state, before, gradient, w, writes);
    }
    Constants constants = placement.beside(variable);
    Ops ops = constants.ops();
    UpdateRule.Step<C> step =
        rule.step(
            constants,
            scalars(computeType, variable.type()),
            gradient,
            cast(ops, w, computeType),
            before);
    assignState(ops, state, step.state().parts(), writes);
    return new Updated(
        rule.apply(ops, Placement.beside(gated, variable), variable, w, step), step.statistics());
  }

  @SuppressWarnings("unchecked") // The slots have the type of the computation.
  private static <C extends TNumber> void assignState(
      Ops ops, VariableState state, List<Operand<C>> parts, List<Op> writes) {
    List<Slot<?>> slots = state.secondMomentSlots();
    for (int i = 0; i < parts.size(); i++) {
      writes.add(((Slot<C>) slots.get(i)).assign(ops, parts.get(i)));
    }
  }

  @SuppressWarnings("unchecked") // As the body of the function gives them.
  private <T extends TNumber, C extends TNumber> Updated compiled(
      VariableView<T> variable,
      VariableState state,
      SecondMoment<C> before,
      Operand<C> gradient,
      Operand<T> w,
      List<Op> writes) {
    Ops ops = placement.beside(variable).ops();
    List<Operand<?>> arguments = new ArrayList<>();
    arguments.add(gradient);
    arguments.add(w);
    arguments.addAll(before.parts());
    Scalars<C> shared = scalars(gradient.type(), variable.type());
    arguments.addAll(shared.parts());
    CompiledFunction function =
        functions.computeIfAbsent(
            new FunctionKey(variable.type(), variable.shape()),
            key -> function(variable, before, gradient.type()));
    List<Output<?>> results = function.call(ops, arguments);
    List<Operand<C>> parts = new ArrayList<>();
    results.subList(1, results.size()).forEach(part -> parts.add((Output<C>) part));
    int stateSize = before.parts().size();
    assignState(ops, state, parts.subList(0, stateSize), writes);
    return new Updated(
        variable.assign(Placement.beside(gated, variable), (Output<T>) results.get(0)),
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
    for (Operand<C> scalar : scalars(computeType, variable.type()).parts()) {
      arguments.add(new CompiledFunction.Argument(computeType, scalar.shape()));
    }
    Ops ops = placement.anywhere().ops();
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

  @SuppressWarnings("unchecked") // Kept by type.
  private <C extends TNumber> Scalars<C> scalars(
      Class<C> type, Class<? extends TNumber> variableType) {
    return (Scalars<C>)
        scalars.computeIfAbsent(
            List.of(type, variableType),
            key ->
                Scalars.of(
                    placement.anywhere(), type, variableType, config, learningRate, iterations));
  }

  /** The operand itself where it is of the type already. */
  @SuppressWarnings("unchecked")
  static <C extends TNumber> Operand<C> cast(Ops tf, Operand<? extends TNumber> x, Class<C> type) {
    return x.type().equals(type) ? (Operand<C>) x : tf.dtypes.cast(x, type);
  }
}
