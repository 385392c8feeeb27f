package dev.adafactor.savedmodel;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/** The types of the elements of lists of tensors, which the lists themselves do not tell. */
final class ListTypes {
  private static final Set<String> PASSING =
      Set.of(
          "Identity",
          "IdentityN",
          "StopGradient",
          "TensorListSetItem",
          "TensorListPushBack",
          "StatelessWhile",
          "While");

  private final Map<String, NodeDef> nodes;
  private final Map<String, DataType> arguments;

  /**
   * Looks at a graph.
   *
   * @param arguments the types of the lists that the graph is given, by their placeholders
   */
  ListTypes(GraphDef graph, Map<String, DataType> arguments) {
    this.nodes = Nodes.byName(graph.getNodeList());
    this.arguments = arguments;
  }

  /** The type of a list's elements, if it can be told. */
  Optional<DataType> of(String tensor) {
    Set<String> met = new HashSet<>();
    String list = tensor;
    while (met.add(list)) {
      NodeDef node = nodes.get(Tensors.node(list));
      if (node == null) {
        break;
      }
      if (arguments.containsKey(node.getName())) {
        return Optional.of(arguments.get(node.getName()));
      }
      if (node.containsAttr("element_dtype") && !PASSING.contains(node.getOp())) {
        return Optional.of(node.getAttrOrThrow("element_dtype").getType());
      }
      if (!PASSING.contains(node.getOp()) || Tensors.inputs(node).size() <= Tensors.index(list)) {
        break;
      }
      list = node.getInput(Tensors.index(list));
    }
    return Optional.empty();
  }

  /** The types of the lists among a function's arguments, by the arguments' names. */
  Map<String, DataType> ofArguments(List<String> tensors, List<DataType> types) {
    Map<String, DataType> known = new HashMap<>();
    for (int i = 0; i < tensors.size(); i++) {
      if (types.get(i) == DataType.DT_VARIANT) {
        String argument = FunctionDerivative.argument(i);
        of(tensors.get(i)).ifPresent(type -> known.put(argument, type));
      }
    }
    return known;
  }
}
