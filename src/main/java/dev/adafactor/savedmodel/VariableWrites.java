package dev.adafactor.savedmodel;

import java.util.HashSet;
import java.util.Set;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/** Which variables the operations of a flat graph write to. */
final class VariableWrites {
  private static final String READING = "ResourceGather";

  private VariableWrites() {}

  /** The nodes of the variables that are written to. */
  static Set<String> of(GraphDef flat) {
    Set<String> written = new HashSet<>();
    for (NodeDef node : flat.getNodeList()) {
      if (writes(node.getOp())) {
        written.add(Tensors.node(node.getInput(0)));
      }
    }
    return written;
  }

  /** All such operations take the variable first. */
  private static boolean writes(String type) {
    return (type.startsWith("Assign") || type.startsWith("Resource")) && !type.startsWith(READING);
  }
}
