package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.Output;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

/**
 * The derivative of a function: from its arguments and the gradients of its results to the
 * gradients of its arguments. What it needs of the function's own computation it computes again.
 */
final class FunctionDerivative {
  private FunctionDerivative() {}

  /** The name of a function's argument. */
  static String argument(int index) {
    return "argument_" + index;
  }

  /** The name of the derivative's argument with the gradient of a result. */
  static String gradient(int index) {
    return "dy_" + index;
  }

  /**
   * Differentiates a function.
   *
   * @param function the function, its operations given usable gradients
   * @param by the arguments whose gradients are wanted
   * @param of the results that have gradients
   * @return a function of the arguments, and then of the gradients of results
   * @throws NoGradientException if there is an operation without a usable gradient in the way
   */
  static FlatFunction of(FlatFunction function, List<Integer> by, List<Integer> of)
      throws NoGradientException {
    List<String> results = of.stream().map(function.results()::get).toList();
    List<String> arguments = by.stream().map(function.arguments()::get).toList();
    for (String result : results) {
      for (NodeDef node : GradientPaths.between(function.graphDef(), result, arguments)) {
        if (TrustedGradients.objection(node).isPresent()) {
          throw new NoGradientException(node);
        }
      }
    }
    Set<String> needed =
        Set.copyOf(
            new FlatFunction(function.graphDef(), function.arguments(), results)
                .pruned()
                .arguments());
    try (GradientGraph graph = new GradientGraph()) {
      graph.add(function);
      List<Output<?>> y = new ArrayList<>();
      List<Output<?>> dy = new ArrayList<>();
      for (int i : of) {
        Output<?> result = graph.output(function.results().get(i));
        y.add(result);
        dy.add(graph.argument(gradient(i), result.dataType()));
      }
      List<Output<?>> x = arguments.stream().<Output<?>>map(graph::output).toList();
      List<Output<?>> reached =
          x.stream().filter(argument -> needed.contains(argument.op().name())).toList();
      Output<?>[] gradients =
          y.isEmpty() || reached.isEmpty()
              ? new Output<?>[0]
              : graph
                  .graph()
                  .addGradients(
                      null,
                      y.toArray(Output<?>[]::new),
                      reached.toArray(Output<?>[]::new),
                      dy.toArray(Output<?>[]::new));
      Map<String, Output<?>> found = new HashMap<>();
      for (int i = 0; i < gradients.length; i++) {
        if (!gradients[i].isClosed()) {
          found.put(reached.get(i).op().name(), gradients[i]);
        }
      }
      List<Output<?>> dx = new ArrayList<>();
      for (Output<?> argument : x) {
        Output<?> gradient = found.get(argument.op().name());
        dx.add(gradient == null ? graph.op("ZerosLike", argument) : gradient);
      }
      return graph.function(dx);
    }
  }

  /** Thrown where a function cannot be differentiated. */
  static final class NoGradientException extends Exception {
    private static final long serialVersionUID = 1L;

    NoGradientException(NodeDef node) {
      super(
          node.getOp()
              + " '"
              + node.getName()
              + "' in it"
              + TrustedGradients.refusal(node).map(" (because of %s)"::formatted).orElse(""));
    }

    NoGradientException(String reason) {
      super(reason);
    }
  }

  /** Whether values of a type have gradients, lists of them included. */
  static boolean isReal(DataType type, String argument, Map<String, DataType> listTypes)
      throws NoGradientException {
    if (type != DataType.DT_VARIANT) {
      return Tensors.isReal(type);
    }
    DataType element = listTypes.get(argument);
    if (element == null) {
      throw new NoGradientException("a list of an unknown type");
    }
    return Tensors.isReal(element);
  }

  /** The nodes that are nothing but a tensor under another name, the tensor's own included. */
  static Set<String> aliases(FlatFunction function, String argument) {
    Set<String> aliases = new HashSet<>(Set.of(argument));
    boolean grows = true;
    while (grows) {
      grows = false;
      for (NodeDef node : function.graphDef().getNodeList()) {
        if (node.getOp().equals("Identity")
            && aliases.contains(Tensors.node(node.getInput(0)))
            && aliases.add(node.getName())) {
          grows = true;
        }
      }
    }
    return aliases;
  }
}
