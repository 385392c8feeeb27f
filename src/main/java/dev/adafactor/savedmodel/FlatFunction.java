package dev.adafactor.savedmodel;

import dev.adafactor.graph.Reachable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * A function as a graph without calls.
 *
 * @param graphDef its nodes, of which placeholders are the arguments
 * @param arguments the names of the placeholders
 * @param results the tensors that it returns
 */
record FlatFunction(GraphDef graphDef, List<String> arguments, List<String> results) {
  FlatFunction {
    arguments = List.copyOf(arguments);
    results = List.copyOf(results);
  }

  /**
   * Flattens a function of a model.
   *
   * @param function its name and attributes
   * @param model the graph with the library that it is in
   * @param operations the known operations, by name
   */
  static FlatFunction of(NameAttrList function, GraphDef model, Map<String, OpDef> operations) {
    FunctionDef definition =
        model.getLibrary().getFunctionList().stream()
            .filter(f -> f.getSignature().getName().equals(function.getName()))
            .findFirst()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "The model is inconsistent: there is no function '"
                            + function.getName()
                            + "'"));
    Attributes attributes = Attributes.of(definition.getSignature(), function.getAttrMap());
    GraphDef.Builder caller =
        GraphDef.newBuilder().setVersions(model.getVersions()).setLibrary(model.getLibrary());
    NodeDef.Builder call =
        NodeDef.newBuilder()
            .setName("body")
            .setOp(function.getName())
            .putAllAttr(function.getAttrMap());
    List<String> arguments = new ArrayList<>();
    for (OpDef.ArgDef argument : definition.getSignature().getInputArgList()) {
      for (DataType type : attributes.types(argument)) {
        String name = "argument_" + arguments.size();
        arguments.add(name);
        call.addInput(name);
        caller.addNode(placeholder(name, type));
      }
    }
    int results = 0;
    for (OpDef.ArgDef result : definition.getSignature().getOutputArgList()) {
      results += attributes.types(result).size();
    }
    List<String> tensors = new ArrayList<>();
    for (int i = 0; i < results; i++) {
      tensors.add("body:" + i);
    }
    // An argument that nothing needs is kept all the same: the function is called with it. So is
    // what a function without results does.
    List<String> roots = new ArrayList<>(tensors);
    roots.addAll(arguments);
    roots.add("^body");
    FlatGraph flat = FunctionFlattener.flatten(caller.addNode(call).build(), operations, roots);
    return new FlatFunction(
        flat.graphDef(), arguments, tensors.stream().map(flat.tensors()::get).toList());
  }

  static NodeDef placeholder(String name, DataType type) {
    return NodeDef.newBuilder()
        .setName(name)
        .setOp("Placeholder")
        .putAttr("dtype", AttrValue.newBuilder().setType(type).build())
        .build();
  }

  /** The type of an argument. */
  DataType type(String argument) {
    return graphDef.getNodeList().stream()
        .filter(node -> node.getName().equals(argument))
        .findFirst()
        .orElseThrow()
        .getAttrOrThrow("dtype")
        .getType();
  }

  /** The function with those arguments and nodes alone that its results need. */
  FlatFunction pruned() {
    Map<String, NodeDef> nodes = Nodes.byName(graphDef.getNodeList());
    Set<String> needed =
        Reachable.from(
            Tensors.nodes(results),
            name -> {
              if (!nodes.containsKey(name)) {
                throw new IllegalArgumentException(
                    "The model is inconsistent: there is no node '" + name + "'");
              }
              return Tensors.nodes(nodes.get(name).getInputList());
            });
    GraphDef.Builder pruned = graphDef.toBuilder().clearNode();
    graphDef.getNodeList().stream()
        .filter(node -> needed.contains(node.getName()))
        .forEach(pruned::addNode);
    return new FlatFunction(
        pruned.build(), arguments.stream().filter(needed::contains).toList(), results);
  }
}
