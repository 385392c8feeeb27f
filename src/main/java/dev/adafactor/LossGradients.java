package dev.adafactor;

import dev.adafactor.graph.Derivative;
import dev.adafactor.graph.Gradients;
import dev.adafactor.graph.Placement;
import dev.adafactor.mesh.DataParallel;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Adds the gradients of losses by variables, whole and in shards. */
record LossGradients(Graph graph, KnownVariables known, Placement placement) {

  /**
   * Adds the gradients of a loss.
   *
   * @return a pair for each variable, in their order; the gradient is null where the loss does not
   *     follow from the variable
   * @throws IllegalArgumentException if the gradient cannot be computed
   */
  List<GradAndVar<? extends TType>> of(Operand<?> loss, List<? extends Operand<?>> variables) {
    List<Output<?>> outputs = new ArrayList<>();
    for (Operand<?> variable : variables) {
      known
          .inShards(variable)
          .ifPresentOrElse(
              found -> found.replicas().forEach(replica -> outputs.add(replica.output())),
              () -> outputs.add(variable.asOutput()));
    }
    Iterator<Optional<Derivative>> derivatives = derivatives(loss, outputs).iterator();
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>(variables.size());
    for (Operand<?> variable : variables) {
      Optional<VariableInShards> sharded = known.inShards(variable);
      pairs.add(
          sharded.isPresent()
              ? sharded.get().pair(placement, derivatives)
              : pair(derivatives.next(), variable.asOutput()));
    }
    return pairs;
  }

  private List<Optional<Derivative>> derivatives(Operand<?> loss, List<Output<?>> variables) {
    return loss instanceof DataParallel<?> parts
        ? parts.sparseGradients(variables).stream()
            .map(each -> each.map(found -> new Derivative(found.values(), found.indices())))
            .toList()
        : Gradients.of(graph, loss).with(variables);
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  private static GradAndVar<? extends TType> pair(
      Optional<Derivative> derivative, Output<?> variable) {
    Output<?> values = derivative.<Output<?>>map(Derivative::values).orElse(null);
    Optional<Operand<? extends TNumber>> indices = derivative.flatMap(Derivative::indices);
    return indices.isPresent()
        ? new IndexedSlices(values, indices.get()).of(variable)
        : new GradAndVar(values, variable);
  }
}
