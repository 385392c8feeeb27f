package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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

  private static final Set<String> LOOP_EXITS = Set.of("Exit", "RefExit");

  static final String STOP_GRADIENT = "StopGradient";

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
    Set<GraphOperation> reached =
        Reachable.from(
            operations(List.of(loss.asOutput())),
            op -> isHeldConstant(op) ? List.of() : operations(op.inputs()));
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
   * The derivatives of the loss, in the order of the variables; empty for a variable that the loss
   * does not follow from, or not differentiably. Those of several handles of one variable, as an
   * import makes them, are added up. Where the loss follows from a variable only by rows that are
   * gathered from it, the derivative has these rows alone.
   *
   * @param variables or tensors of floats that are computed from them
   * @throws IllegalArgumentException if a native gradient function would crash, or a gradient comes
   *     through a loop of {@code Graph.whileLoop}
   */
  public List<Optional<Derivative>> with(List<? extends Output<?>> variables) {
    return with(Ops.create(graph), variables);
  }

  /**
   * The derivatives of the loss, as {@link #with(List)} has them, by operations on a device.
   *
   * @param tf adds operations on the device; or where TensorFlow wants them
   * @throws IllegalArgumentException if a native gradient function would crash, or a gradient comes
   *     through a loop of {@code Graph.whileLoop}
   */
  List<Optional<Derivative>> with(Ops tf, List<? extends Output<?>> variables) {
    refuseUnsafe(variables);
    Map<String, List<Output<?>>> handles = new HashMap<>();
    for (GraphOperation op : reached) {
      if (VariableView.isTrainable(op)) {
        handles
            .computeIfAbsent(VariableView.create(op).key(), key -> new ArrayList<>())
            .add(op.output(0));
      }
    }
    List<Source> sources = new ArrayList<>(variables.size());
    for (Output<?> variable : variables) {
      sources.add(source(Origin.of(variable), tensors(variable, handles)));
    }
    Output<?>[] tensors =
        sources.stream().flatMap(source -> source.tensors().stream()).toArray(Output<?>[]::new);
    refuseLoops(tensors);
    Output<?>[] gradients = gradients(tf, tensors);
    List<Optional<Derivative>> derivatives = new ArrayList<>(variables.size());
    int next = 0;
    for (Source source : sources) {
      int end = next + source.tensors().size();
      List<Derivative> parts = source.parts(tf, Arrays.asList(gradients).subList(next, end));
      derivatives.add(
          parts.isEmpty()
              ? Optional.empty()
              : Optional.of(Derivative.sum(tf, source.origin().shape(), parts)));
      next = end;
    }
    return derivatives;
  }

  private Output<?>[] gradients(Ops tf, Output<?>[] tensors) {
    if (tensors.length == 0) {
      return new Output<?>[0];
    }
    return tf.scope().getDeviceString().isEmpty()
        ? graph.addGradients(loss, tensors)
        : PinnedGradients.add(tf, loss, tensors);
  }

  /**
   * What the loss follows from a variable or tensor by.
   *
   * @param handles of the variables, by key
   */
  private List<Output<?>> tensors(Output<?> origin, Map<String, List<Output<?>>> handles) {
    if (VariableView.isVariable(origin.op())) {
      return handles.getOrDefault(VariableView.key(origin), List.of());
    }
    return reached.contains((GraphOperation) origin.op()) ? List.of(origin) : List.of();
  }

  private Source source(Origin origin, List<Output<?>> tensors) {
    return RowGather.all(tensors, reached, loss)
        .<Source>map(gathers -> new Rows(origin, gathers))
        .orElseGet(() -> new Whole(origin, tensors));
  }

  /**
   * Whether the loss follows from variables, if at all, only by rows that are gathered from what
   * they are put together to.
   *
   * @param parts the variables
   * @param wholes what they are put together to
   */
  public boolean gathersOnlyFrom(List<Output<?>> wholes, List<Output<?>> parts) {
    List<Output<?>> used =
        wholes.stream().filter(whole -> reached.contains((GraphOperation) whole.op())).toList();
    return RowGather.meetsOnly(used, parts, reached, loss)
        && (used.isEmpty() || RowGather.all(used, reached, loss).isPresent());
  }

  /** What the loss follows from a variable or tensor by. */
  private sealed interface Source {
    Origin origin();

    /** What the loss is differentiated by. */
    List<Output<?>> tensors();

    /**
     * The derivatives that add up to that by the origin.
     *
     * @param gradients by the tensors; closed where there is none
     */
    List<Derivative> parts(Ops tf, List<Output<?>> gradients);
  }

  private record Whole(Origin origin, List<Output<?>> tensors) implements Source {
    @Override
    public List<Derivative> parts(Ops tf, List<Output<?>> gradients) {
      return gradients.stream()
          .filter(gradient -> !gradient.isClosed())
          .map(gradient -> new Derivative(gradient, Optional.empty()))
          .toList();
    }
  }

  private record Rows(Origin origin, List<RowGather> gathers) implements Source {
    @Override
    public List<Output<?>> tensors() {
      return gathers.stream().<Output<?>>map(RowGather::rows).toList();
    }

    @Override
    public List<Derivative> parts(Ops tf, List<Output<?>> gradients) {
      List<Derivative> parts = new ArrayList<>();
      for (int i = 0; i < gathers.size(); i++) {
        if (!gradients.get(i).isClosed()) {
          parts.add(
              new Derivative(
                  gathers.get(i).values(tf, gradients.get(i), origin).asOutput(),
                  Optional.of(gathers.get(i).indices(tf))));
        }
      }
      return parts;
    }
  }

  /**
   * Makes sure that no operation wants the handle of a variable on another device: TensorFlow would
   * refuse to run the graph.
   *
   * @throws IllegalArgumentException if one does
   */
  void refuseDistantReads() {
    for (GraphOperation op : reached) {
      for (Operand<?> input : op.inputs()) {
        GraphOperation source = (GraphOperation) input.op();
        if (source.type().equals(ResourceVariable.OP_TYPE)
            && !op.device().isEmpty()
            && !Placement.parse(op.device()).equals(Placement.parse(source.device()))) {
          throw new IllegalArgumentException(
              ("the operation '%s' on %s reads the variable '%s', which is on %s; read it in a scope"
                      + " of the variable's device, outside of the towers")
                  .formatted(
                      op.name(),
                      op.device(),
                      VariableView.name(source.output(0)),
                      source.device().isEmpty() ? "no named device" : source.device()));
        }
      }
    }
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
    // Those on the way from the variables to the loss, and some that they lead to besides.
    Set<GraphOperation> differentiated =
        Reachable.from(
            operations(variables),
            op -> reached.contains(op) && !isHeldConstant(op) ? op.consumers() : List.of());
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

  /**
   * Makes sure that no gradient comes through a loop of {@code Graph.whileLoop}. TensorFlow ends
   * the process over one with a result that the loss does not follow from, or that does not follow
   * from what is differentiated by; of the others it makes loops that cannot run. It looks through
   * what is held constant, too.
   *
   * @param tensors what the loss is to be differentiated by
   * @throws IllegalArgumentException if one does
   */
  private void refuseLoops(Output<?>[] tensors) {
    Set<GraphOperation> before =
        Reachable.from(operations(List.of(loss)), op -> operations(op.inputs()));
    if (before.stream().noneMatch(Gradients::isExit)) {
      return;
    }
    Set<GraphOperation> behind =
        Reachable.from(operations(List.of(tensors)), GraphOperation::consumers);
    for (GraphOperation op : before) {
      if (isExit(op) && behind.contains(op)) {
        throw new IllegalArgumentException(
            ("the loss '%s' follows from variables through a loop, by the operation '%s':"
                    + " TensorFlow cannot compute the gradients of loops")
                .formatted(loss.name(), op.name()));
      }
    }
  }

  private static boolean isExit(GraphOperation op) {
    return LOOP_EXITS.contains(op.type());
  }

  private static boolean isHeldConstant(GraphOperation op) {
    return op.type().equals(STOP_GRADIENT);
  }

  /** Those that tensors are outputs of. */
  static List<GraphOperation> operations(List<? extends Operand<?>> tensors) {
    return tensors.stream().map(tensor -> (GraphOperation) tensor.asOutput().op()).toList();
  }
}
