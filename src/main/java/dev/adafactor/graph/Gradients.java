package dev.adafactor.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;

/**
 * The part of a graph that a loss is computed from, and its derivatives. {@code
 * Optimizer.computeGradients} differentiates by every {@code VariableV2} of the graph and fails at
 * the first from which the loss does not follow; this looks first.
 */
public final class Gradients {

  /**
   * Operations whose native gradient function takes the whole process down, or fails, if one of
   * their inputs is a reference variable itself: it makes a constant of its input's type, and there
   * is none of the type of a reference.
   */
  static final Set<String> UNSAFE_ON_REFERENCES =
      Set.of(
          "Acos",
          "Asin",
          "Atan",
          "Atanh",
          "BatchMatMul",
          "BatchMatMulV2",
          "BatchMatMulV3",
          "Log1p",
          "Pow",
          "Sign",
          "Square");

  private static final String STOP_GRADIENT = "StopGradient";

  private final Graph graph;
  private final Output<?> loss;
  private final Set<GraphOperation> reached;

  private Gradients(Graph graph, Output<?> loss, Set<GraphOperation> reached) {
    this.graph = graph;
    this.loss = loss;
    this.reached = reached;
  }

  /** Finds the operations that the loss is computed from, short of those that are held constant. */
  public static Gradients of(Graph graph, Operand<?> loss) {
    graph.checkInput(loss.asOutput().op());
    Set<GraphOperation> reached = new LinkedHashSet<>();
    Deque<GraphOperation> next = new ArrayDeque<>();
    next.add((GraphOperation) loss.asOutput().op());
    while (!next.isEmpty()) {
      GraphOperation op = next.remove();
      if (reached.add(op) && !op.type().equals(STOP_GRADIENT)) {
        for (Operand<?> input : op.inputs()) {
          next.add((GraphOperation) input.asOutput().op());
        }
      }
    }
    return new Gradients(graph, loss.asOutput(), reached);
  }

  /**
   * The variables of a floating type that the loss follows from, of both kinds, by name, each once;
   * not those that it follows from only through {@code StopGradient}.
   */
  public List<Output<?>> trainableVariables() {
    Map<String, Output<?>> variables = new LinkedHashMap<>();
    reached.stream()
        .filter(VariableView::isTrainable)
        .sorted(Comparator.comparing(GraphOperation::name))
        .forEach(op -> variables.putIfAbsent(VariableView.create(op).key(), op.output(0)));
    return List.copyOf(variables.values());
  }

  /**
   * The gradients of the loss, in the order of the variables; null for a variable that the loss
   * does not follow from, or not differentiably. Those of several handles of one variable, as an
   * import makes them, are added up.
   *
   * @throws IllegalArgumentException if a native gradient function would crash
   */
  public List<Output<?>> with(List<? extends Output<?>> variables) {
    refuseUnsafe(variables);
    Map<String, List<Output<?>>> handles = new HashMap<>();
    for (GraphOperation op : reached) {
      if (VariableView.isTrainable(op)) {
        handles
            .computeIfAbsent(VariableView.create(op).key(), key -> new ArrayList<>())
            .add(op.output(0));
      }
    }
    List<List<Output<?>>> sources = new ArrayList<>(variables.size());
    for (Output<?> variable : variables) {
      String key = VariableView.create((GraphOperation) variable.op()).key();
      sources.add(handles.getOrDefault(key, List.of()));
    }
    Output<?>[] present = sources.stream().flatMap(List::stream).toArray(Output<?>[]::new);
    Output<?>[] gradients =
        present.length == 0 ? new Output<?>[0] : graph.addGradients(loss, present);
    List<Output<?>> byVariable = new ArrayList<>(variables.size());
    int next = 0;
    for (List<Output<?>> source : sources) {
      List<Output<?>> parts = Arrays.asList(gradients).subList(next, next + source.size());
      byVariable.add(sum(parts));
      next += source.size();
    }
    return byVariable;
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // All are gradients of one variable.
  private Output<?> sum(List<Output<?>> gradients) {
    List<Output<?>> present = gradients.stream().filter(g -> !g.isClosed()).toList();
    if (present.size() < 2) {
      return present.isEmpty() ? null : present.get(0);
    }
    return Ops.create(graph).math.addN((List) present).asOutput();
  }

  private void refuseUnsafe(List<? extends Output<?>> variables) {
    Map<GraphOperation, Output<?>> unsafe = new LinkedHashMap<>();
    for (GraphOperation op : reached) {
      if (UNSAFE_ON_REFERENCES.contains(op.type())) {
        op.inputs().stream()
            .<Output<?>>map(Operand::asOutput)
            .filter(ReferenceVariable::isReference)
            .findFirst()
            .ifPresent(reference -> unsafe.put(op, reference));
      }
    }
    if (unsafe.isEmpty()) {
      return;
    }
    Set<GraphOperation> differentiated = differentiated(variables);
    unsafe.forEach(
        (op, reference) -> {
          if (differentiated.contains(op)) {
            throw new IllegalArgumentException(
                "the gradient of the "
                    + op.type()
                    + " operation '"
                    + op.name()
                    + "' cannot be computed natively with the variable '"
                    + reference.op().name()
                    + "' as its direct input; give it tf.identity(variable) instead");
          }
        });
  }

  /** The operations on the way from the variables to the loss: those whose gradient is computed. */
  private Set<GraphOperation> differentiated(List<? extends Output<?>> variables) {
    Set<GraphOperation> found = new HashSet<>();
    Deque<GraphOperation> next = new ArrayDeque<>();
    variables.forEach(variable -> next.add((GraphOperation) variable.op()));
    while (!next.isEmpty()) {
      GraphOperation op = next.remove();
      if (reached.contains(op) && !op.type().equals(STOP_GRADIENT) && found.add(op)) {
        next.addAll(op.consumers());
      }
    }
    return found;
  }
}
