package dev.adafactor.savedmodel;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Asks for a device for the operations of a flat graph, its variables among them.
 *
 * <p>Tables are not moved: they have their content where the model is initialized. What works with
 * one is beside it, wherever that is.
 */
final class DevicePlacement {
  private static final String VARIABLE = "VarHandleOp";

  /** Of what all graphs of a session share on one device. */
  private static final String SHARED = "shared_name";

  private static final String COLOCATION = "_class";

  private final Map<String, OpDef> operations;

  /** Tensors that are tables, {@code node:index}. */
  private final Set<String> tables = new HashSet<>();

  /** Nodes that have to be where the tables are. */
  private final Set<String> besideTables = new HashSet<>();

  private DevicePlacement(Map<String, OpDef> operations) {
    this.operations = operations;
  }

  /**
   * Asks for a device.
   *
   * @param device as operations name it
   * @param operations the known operations, by name
   * @throws IllegalArgumentException if an operation works with a table and a variable, which would
   *     be on different devices
   */
  static FlatGraph on(String device, FlatGraph flat, Map<String, OpDef> operations) {
    DevicePlacement placement = new DevicePlacement(operations);
    placement.find(flat.graphDef());
    GraphDef.Builder placed = flat.graphDef().toBuilder().clearNode();
    for (NodeDef node : flat.graphDef().getNodeList()) {
      boolean moves = !placement.besideTables.contains(node.getName());
      placed.addNode(
          node.toBuilder().setDevice(moves ? device : "").removeAttr(COLOCATION).build());
    }
    return new FlatGraph(placed.build(), flat.tensors(), flat.randomness());
  }

  private void find(GraphDef flat) {
    Set<String> variables = new HashSet<>();
    for (NodeDef node : flat.getNodeList()) {
      if (node.getOp().equals(VARIABLE)) {
        variables.add(tensor(node.getName(), 0));
      } else if (isTable(node)) {
        add(node);
      }
    }
    int before;
    do {
      before = besideTables.size();
      flat.getNodeList().stream().filter(this::takesTable).forEach(this::add);
    } while (besideTables.size() > before);
    for (NodeDef node : flat.getNodeList()) {
      if (besideTables.contains(node.getName()) && takes(node, variables)) {
        throw new IllegalArgumentException(
            "the operation '%s' works with a table and with variables, which cannot be on several devices"
                .formatted(node.getName()));
      }
    }
  }

  private boolean isTable(NodeDef node) {
    return node.containsAttr(SHARED) && !resources(node).isEmpty();
  }

  private boolean takesTable(NodeDef node) {
    return takes(node, tables);
  }

  private static boolean takes(NodeDef node, Set<String> tensors) {
    return Tensors.inputs(node).stream()
        .anyMatch(input -> tensors.contains(tensor(Tensors.node(input), Tensors.index(input))));
  }

  private void add(NodeDef node) {
    besideTables.add(node.getName());
    resources(node).forEach(index -> tables.add(tensor(node.getName(), index)));
  }

  /** Which outputs of a node are resources. */
  private List<Integer> resources(NodeDef node) {
    List<DataType> types = Tensors.outputTypes(node, operations);
    return IntStream.range(0, types.size())
        .filter(i -> types.get(i) == DataType.DT_RESOURCE)
        .boxed()
        .toList();
  }

  private static String tensor(String node, int index) {
    return node + ":" + index;
  }
}
