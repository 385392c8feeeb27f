package dev.adafactor.savedmodel;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.op.Op;
import org.tensorflow.op.core.NoOp;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SignatureDef;

/**
 * A flat graph that was added to a model's own graph.
 *
 * @param graph the model's graph
 * @param scope what the names of the copy's operations begin with
 * @param flat the flat graph
 */
record FlatCopy(Graph graph, String scope, FlatGraph flat) {
  /**
   * Adds a flat graph to a graph, in a scope that nothing else is in.
   *
   * @param definition of the graph, but for other such copies
   * @param name what the scope is called if nothing else is; no other copy's
   */
  static FlatCopy add(FlatGraph flat, Graph graph, GraphDef definition, String name) {
    String prefix = freePrefix(definition.getNodeList(), name);
    graph.importGraphDef(flat.graphDef(), prefix);
    return new FlatCopy(graph, prefix + "/", flat);
  }

  /** Takes a part of a graph for a copy of it. */
  static FlatCopy ofItself(FlatGraph part, Graph graph) {
    return new FlatCopy(graph, "", part);
  }

  private static String freePrefix(List<NodeDef> nodes, String name) {
    String prefix = name;
    for (int i = 1; ; i++) {
      String scope = prefix;
      if (nodes.stream()
          .noneMatch(n -> n.getName().equals(scope) || n.getName().startsWith(scope + "/"))) {
        return prefix;
      }
      prefix = name + "_" + i;
    }
  }

  /** The operation that a node of the flat graph became. */
  GraphOperation operation(String node) {
    return graph.operationOrThrow(scope + node);
  }

  /** What a tensor that the flat graph was made for, by its name there, became. */
  Output<?> output(String tensor) {
    String flatTensor = flat.tensors().get(tensor);
    return operation(Tensors.node(flatTensor)).output(Tensors.index(flatTensor));
  }

  /** What the end of a call that the flat graph was made for, {@code ^node}, became. */
  Op control(String node) {
    return new NoOp(operation(Tensors.node(flat.tensors().get(node))));
  }

  /** What the inputs of a signature became, by its names for them. */
  Map<String, Output<?>> inputs(SignatureDef signature) {
    Map<String, Output<?>> tensors = new LinkedHashMap<>();
    new TreeMap<>(signature.getInputsMap())
        .forEach((name, info) -> tensors.put(name, output(info.getName())));
    return Collections.unmodifiableMap(tensors);
  }

  /**
   * What a part of the flat graph became.
   *
   * @param name what it is, for messages
   */
  ModelFunction function(String name, FunctionChoice.Part part) {
    Map<String, Output<?>> outputs = new LinkedHashMap<>();
    part.outputs().forEach((output, tensor) -> outputs.put(output, output(tensor)));
    return new ModelFunction(
        name,
        this,
        outputs,
        part.losses().stream().<Output<?>>map(this::output).toList(),
        part.updates().map(this::control));
  }

  /** The node of the flat graph that became an output's operation. */
  String node(Output<?> output) {
    return output.op().name().substring(scope.length());
  }
}
