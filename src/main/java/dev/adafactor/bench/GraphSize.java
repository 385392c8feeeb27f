package dev.adafactor.bench;

import dev.adafactor.graph.VariableView;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.proto.DataType;

/**
 * How large a graph is.
 *
 * @param operations in it, initializers included
 * @param bytesByDevice of the values of its variables; those that are anywhere are on no device
 */
record GraphSize(int operations, Map<String, Long> bytesByDevice) {

  static GraphSize of(Graph graph) {
    int operations = 0;
    Map<String, Long> bytes = new TreeMap<>();
    for (Iterator<GraphOperation> it = graph.operations(); it.hasNext(); ) {
      GraphOperation op = it.next();
      operations++;
      if (VariableView.isVariable(op)) {
        DataType type = op.attributes().getAttrType("dtype");
        long size = op.attributes().getAttrShape("shape").size();
        bytes.merge(op.device(), size * width(type), Long::sum);
      }
    }
    return new GraphSize(operations, bytes);
  }

  GraphSize minus(GraphSize other) {
    Map<String, Long> bytes = new TreeMap<>(bytesByDevice);
    other.bytesByDevice.forEach((device, less) -> bytes.merge(device, -less, Long::sum));
    return new GraphSize(operations - other.operations, bytes);
  }

  /** Of the values of all variables. */
  long variableBytes() {
    return bytesByDevice.values().stream().mapToLong(Long::longValue).sum();
  }

  /** How many bytes an element has. */
  static long width(DataType type) {
    return switch (type) {
      case DT_BOOL -> 1;
      case DT_HALF, DT_BFLOAT16 -> 2;
      case DT_FLOAT, DT_INT32 -> 4;
      case DT_DOUBLE, DT_INT64 -> 8;
      default -> throw new IllegalStateException("a variable of type " + type);
    };
  }
}
