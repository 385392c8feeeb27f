package dev.adafactor;

import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.ShardedVariable;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TType;

/** The variables that an optimizer has met, and those of them that it has state for. */
final class KnownVariables {

  private final Graph graph;
  private final Sites sites;
  private final Settings settings;

  /** All that were met, by the operation of their output or handle. */
  private final Map<Operation, LogicalVariable> met = new ConcurrentHashMap<>();

  /** Those that there is state for, in the order in which they came. */
  private final Map<LogicalVariable, KnownVariable> states = new LinkedHashMap<>();

  KnownVariables(Graph graph, Sites sites, Settings settings) {
    this.graph = graph;
    this.sites = sites;
    this.settings = settings;
  }

  /**
   * What a user calls a variable.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, a
   *     {@link ShardedVariable}, or the whole of one that was met
   * @throws IllegalArgumentException if it is none of them, or cannot be trained
   */
  LogicalVariable of(Operand<?> variable) {
    return met.computeIfAbsent(
        variable.asOutput().op(),
        op -> {
          LogicalVariable found = LogicalVariable.of(graph, variable);
          if (found instanceof VariableInShards sharded) {
            settings.require(sharded);
          }
          return found;
        });
  }

  /** The variable if it is in shards; empty for whatever else is given. */
  Optional<VariableInShards> inShards(Operand<?> variable) {
    boolean known = variable instanceof ShardedVariable<?> || met.containsKey(op(variable));
    return known && of(variable) instanceof VariableInShards found
        ? Optional.of(found)
        : Optional.empty();
  }

  private static Operation op(Operand<?> variable) {
    return variable.asOutput().op();
  }

  /** What a pair says. */
  LogicalGradient gradient(GradAndVar<? extends TType> pair) {
    if (pair.getVariable() == null) {
      throw new IllegalArgumentException("a pair of gradient and variable has no variable");
    }
    LogicalVariable variable = of(VariableGradient.variable(pair));
    return new LogicalGradient(variable, variable.gradient(sites.placement(), pair));
  }

  /** The variable and its state, which is added if there is none yet. */
  KnownVariable withState(LogicalVariable variable) {
    return states.computeIfAbsent(
        variable,
        added -> new KnownVariable(added, added.parts().stream().map(this::state).toList()));
  }

  private VariableState state(VariableView<?> part) {
    return VariableState.create(
        sites.initializers().beside(part),
        part,
        settings.rule().computeType(part.type()),
        settings.movingAverage().isPresent());
  }

  /** The variable and its state; empty if there is none. */
  Optional<KnownVariable> find(Operand<?> variable) {
    return Optional.ofNullable(states.get(of(variable)));
  }

  /** The state of a variable in one piece, or of a shard. */
  Optional<VariableState> ofPart(Operand<?> part) {
    VariableView<?> view = of(part).parts().get(0);
    return find(part)
        .or(
            () ->
                states.values().stream()
                    .filter(known -> known.variable().parts().contains(view))
                    .findFirst())
        .flatMap(
            known ->
                known.parts().stream().filter(each -> each.variable().equals(view)).findFirst());
  }

  /** Those that there is state for, in the order in which they came. */
  Collection<KnownVariable> all() {
    return Collections.unmodifiableCollection(states.values());
  }
}
