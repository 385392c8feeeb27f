package dev.adafactor.savedmodel;

import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.op.Op;
import org.tensorflow.op.core.NoOp;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * A flat graph that was added to a model's own graph.
 *
 * @param graph the model's graph
 * @param prefix the scope that the copy's operations are in
 * @param flat the flat graph
 */
record FlatCopy(Graph graph, String prefix, FlatGraph flat) {
  /** Adds a flat graph to a graph, in a scope that nothing else is in. */
  static FlatCopy add(FlatGraph flat, Graph graph, GraphDef definition) {
    String prefix = freePrefix(definition.getNodeList());
    graph.importGraphDef(flat.graphDef(), prefix);
    return new FlatCopy(graph, prefix, flat);
  }

  private static String freePrefix(List<NodeDef> nodes) {
    String prefix = "trainable";
    for (int i = 1; ; i++) {
      String scope = prefix;
      if (nodes.stream()
          .noneMatch(n -> n.getName().equals(scope) || n.getName().startsWith(scope + "/"))) {
        return prefix;
      }
      prefix = "trainable_" + i;
    }
  }

  /** The operation that a node of the flat graph became. */
  GraphOperation operation(String node) {
    return graph.operationOrThrow(prefix + "/" + node);
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

  /** The node of the flat graph that became an output's operation. */
  String node(Output<?> output) {
    return output.op().name().substring(prefix.length() + 1);
  }
}
