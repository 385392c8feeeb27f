package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** A model's graph, to which calls of functions are added that it has in its library alone. */
final class FunctionCalls {
  private final GraphDef.Builder graph;
  private final CapturedObjects captured;
  private final Map<String, FunctionDef> functions = new HashMap<>();
  private final Set<String> names = new HashSet<>();

  /** A function cannot be called as it is saved. */
  static final class NotCallableException extends Exception {
    private static final long serialVersionUID = 1L;

    NotCallableException(String reason) {
      super(reason);
    }
  }

  FunctionCalls(MetaGraphDef model) {
    graph = model.getGraphDef().toBuilder();
    captured = CapturedObjects.of(model);
    graph
        .getLibrary()
        .getFunctionList()
        .forEach(function -> functions.put(function.getSignature().getName(), function));
    graph.getNodeList().forEach(node -> names.add(node.getName()));
  }

  /** The graph with the calls. */
  GraphDef graph() {
    return graph.build();
  }

  /** Adds a placeholder. */
  String placeholder(String name, DataType type) {
    String free = unique(name);
    graph.addNode(FlatFunction.placeholder(free, type));
    return free;
  }

  /**
   * Adds a call.
   *
   * @param name name for the call
   * @param arguments the tensors to pass
   * @param boundInputs the objects to pass after them
   * @return the call's node
   * @throws NotCallableException if an object is not in the graph, or the function takes others
   */
  String call(String name, String function, List<String> arguments, List<Integer> boundInputs)
      throws NotCallableException {
    FunctionDef definition = functions.get(function);
    if (definition == null) {
      throw new NotCallableException("its function '" + function + "' is missing");
    }
    List<String> inputs = new ArrayList<>(arguments);
    for (int object : boundInputs) {
      inputs.add(
          captured
              .tensor(object)
              .orElseThrow(
                  () ->
                      new NotCallableException(
                          "its function '" + function + "' uses objects that are not found")));
    }
    OpDef signature = definition.getSignature();
    if (signature.getInputArgCount() != inputs.size()) {
      throw new NotCallableException(
          "its function '%s' takes %d arguments in place of %d"
              .formatted(function, signature.getInputArgCount(), inputs.size()));
    }
    String free = unique(name);
    graph.addNode(
        NodeDef.newBuilder()
            .setName(free)
            .setOp("StatefulPartitionedCall")
            .addAllInput(inputs)
            .putAttr("Tin", types(signature.getInputArgList()))
            .putAttr("Tout", types(signature.getOutputArgList()))
            .putAttr(
                "f",
                AttrValue.newBuilder()
                    .setFunc(NameAttrList.newBuilder().setName(function))
                    .build()));
    return free;
  }

  private static AttrValue types(List<OpDef.ArgDef> arguments) {
    return GradientGraph.types(arguments.stream().map(OpDef.ArgDef::getType).toList());
  }

  private String unique(String name) {
    String free = name;
    for (int i = 1; !names.add(free); i++) {
      free = name + "_" + i;
    }
    return free;
  }
}
