package dev.adafactor.savedmodel;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.FunctionDefLibrary;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef.ArgDef;

/**
 * Whether calls, branches and loops take and give what their functions do. TensorFlow believes
 * them: a call of no results whose function has one ends the process when it is run.
 */
final class CallFit {
  private final Map<String, FunctionDef> functions = new HashMap<>();

  CallFit(FunctionDefLibrary library) {
    library
        .getFunctionList()
        .forEach(function -> functions.put(function.getSignature().getName(), function));
  }

  /**
   * Checks a node.
   *
   * @param scope where it is
   * @throws IOException if its functions have other arguments or other results; functions that are
   *     not there are left to others
   */
  void require(String scope, NodeDef node) throws IOException {
    switch (node.getOp()) {
      case "PartitionedCall", "StatefulPartitionedCall" ->
          require(scope, node, List.of("f"), "Tin", "Tout");
      case "If", "StatelessIf" ->
          require(scope, node, List.of("then_branch", "else_branch"), "Tin", "Tout");
      case "Case", "StatelessCase" -> require(scope, node, List.of("branches"), "Tin", "Tout");
      case "While", "StatelessWhile" -> require(scope, node, List.of("body"), "T", "T");
      default -> {
        // Calls nothing.
      }
    }
  }

  private void require(
      String scope, NodeDef node, List<String> attributes, String arguments, String results)
      throws IOException {
    for (String attribute : attributes) {
      for (String name : names(value(node, attribute))) {
        FunctionDef function = functions.get(name);
        if (function != null) {
          require(scope, node, arguments, name, function.getSignature().getInputArgList());
          require(scope, node, results, name, function.getSignature().getOutputArgList());
        }
      }
    }
  }

  private static void require(
      String scope, NodeDef node, String attribute, String function, List<ArgDef> wanted)
      throws IOException {
    List<DataType> types = new ArrayList<>();
    for (ArgDef argument : wanted) {
      if (argument.getType() == DataType.DT_INVALID || !argument.getNumberAttr().isEmpty()) {
        return; // Of any type or number: Python does not trace such.
      }
      types.add(argument.getType());
    }
    List<DataType> given = value(node, attribute).getList().getTypeList();
    if (!given.equals(types)) {
      throw new IOException(
          "The model is damaged: in %s, node '%s', attribute '%s' is %s, and function '%s' has %s"
              .formatted(scope, node.getName(), attribute, given, function, types));
    }
  }

  private static AttrValue value(NodeDef node, String attribute) {
    return node.getAttrOrDefault(attribute, AttrValue.getDefaultInstance());
  }

  private static List<String> names(AttrValue functions) {
    List<String> names = new ArrayList<>();
    if (functions.hasFunc()) {
      names.add(functions.getFunc().getName());
    }
    functions.getList().getFuncList().forEach(function -> names.add(function.getName()));
    return names;
  }
}
