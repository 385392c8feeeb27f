package dev.adafactor;

import dev.adafactor.graph.Derivative;
import dev.adafactor.graph.Gradients;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.DataParallel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
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
    List<Gradients> losses = losses(loss);
    List<Wanted> wanted =
        variables.stream()
            .map(
                variable ->
                    known
                        .inShards(variable)
                        .map(found -> wanted(found, losses))
                        .orElseGet(() -> wanted(variable.asOutput())))
            .toList();
    List<Output<?>> origins = wanted.stream().flatMap(each -> each.origins().stream()).toList();
    List<Optional<Derivative>> derivatives =
        loss instanceof DataParallel<?> parts
            ? parts.sparseGradients(origins).stream()
                .map(each -> each.map(found -> new Derivative(found.values(), found.indices())))
                .toList()
            : losses.get(0).with(origins);
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>(variables.size());
    int next = 0;
    for (Wanted each : wanted) {
      int end = next + each.origins().size();
      pairs.add(each.pair().apply(derivatives.subList(next, end)));
      next = end;
    }
    return pairs;
  }

  /**
   * The gradient of a variable that is wanted.
   *
   * @param origins what the loss is to be differentiated by
   * @param pair makes the gradient of these derivatives
   */
  private record Wanted(
      List<Output<?>> origins,
      Function<List<Optional<Derivative>>, GradAndVar<? extends TType>> pair) {}

  private Wanted wanted(Output<?> variable) {
    if (!VariableView.isVariable(variable.op())) {
      VariableView.of(graph, variable); // Which refuses it.
    }
    return new Wanted(List.of(variable), derivatives -> pair(derivatives.get(0), variable));
  }

  /** In shards, or, as of a variable in one piece, in rows if only these are looked up. */
  private Wanted wanted(VariableInShards variable, List<Gradients> losses) {
    List<Output<?>> parts =
        variable.replicas().stream().<Output<?>>map(VariableView::output).toList();
    List<Output<?>> wholes =
        variable.variable().wholes().stream().<Output<?>>map(Operand::asOutput).toList();
    boolean inRows =
        !variable.layout().isFullyReplicated()
            && losses.stream().allMatch(loss -> loss.gathersOnlyFrom(wholes, parts));
    return inRows
        ? new Wanted(wholes, derivatives -> variable.pairOfRows(placement, derivatives))
        : new Wanted(parts, derivatives -> variable.pair(placement, derivatives));
  }

  /** The loss, or those of the parts of a batch. */
  private List<Gradients> losses(Operand<?> loss) {
    return loss instanceof DataParallel<?> parts
        ? parts.parts().stream().map(part -> Gradients.of(graph, part)).toList()
        : List.of(Gradients.of(graph, loss));
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
