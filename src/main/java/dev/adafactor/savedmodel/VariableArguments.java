package dev.adafactor.savedmodel;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * Variables that functions are given and only read. Their values can be read by the caller and
 * given instead, so that gradients flow to them as to any other argument.
 */
final class VariableArguments {
  private VariableArguments() {}

  /**
   * The type of the variable that functions read through one of their arguments; empty if none
   * reads it, or one does something else with it.
   */
  static Optional<DataType> valueType(List<FlatFunction> functions, int argument) {
    Set<DataType> types = new HashSet<>();
    for (FlatFunction function : functions) {
      Set<String> aliases =
          FunctionDerivative.aliases(function, function.arguments().get(argument));
      for (NodeDef node : function.graphDef().getNodeList()) {
        if (Tensors.inputs(node).stream().map(Tensors::node).noneMatch(aliases::contains)
            || node.getOp().equals("Identity")) {
          continue;
        }
        if (!node.getOp().equals("ReadVariableOp")) {
          return Optional.empty();
        }
        types.add(node.getAttrOrThrow("dtype").getType());
      }
    }
    return types.size() == 1 ? Optional.of(types.iterator().next()) : Optional.empty();
  }

  /** The function with the variable's value as its argument. */
  static FlatFunction withValue(FlatFunction function, int argument, DataType type) {
    String name = function.arguments().get(argument);
    Set<String> aliases = FunctionDerivative.aliases(function, name);
    GraphDef.Builder graph = function.graphDef().toBuilder().clearNode();
    for (NodeDef node : function.graphDef().getNodeList()) {
      if (node.getName().equals(name)) {
        graph.addNode(FlatFunction.placeholder(name, type));
      } else if (!Tensors.inputs(node).isEmpty()
          && aliases.contains(Tensors.node(node.getInput(0)))) {
        graph.addNode(
            Nodes.identity(node.getName(), node.getInput(0), type).toBuilder()
                .addAllInput(Tensors.controls(node)));
      } else {
        graph.addNode(node);
      }
    }
    return new FlatFunction(graph.build(), function.arguments(), function.results());
  }
}
