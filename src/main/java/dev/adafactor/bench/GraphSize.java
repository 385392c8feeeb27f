package dev.adafactor.bench;

import dev.adafactor.graph.VariableView;
import java.util.Iterator;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.proto.DataType;

/**
 * How large a graph is.
 *
 * @param operations in it, initializers included
 * @param variableBytes of the values of its variables
 */
record GraphSize(int operations, long variableBytes) {

  static GraphSize of(Graph graph) {
    int operations = 0;
    long bytes = 0;
    for (Iterator<GraphOperation> it = graph.operations(); it.hasNext(); ) {
      GraphOperation op = it.next();
      operations++;
      if (VariableView.isVariable(op)) {
        DataType type = op.attributes().getAttrType("dtype");
        bytes += op.attributes().getAttrShape("shape").size() * width(type);
      }
    }
    return new GraphSize(operations, bytes);
  }

  GraphSize minus(GraphSize other) {
    return new GraphSize(operations - other.operations, variableBytes - other.variableBytes);
  }

  private static long width(DataType type) {
    return switch (type) {
      case DT_BOOL -> 1;
      case DT_HALF, DT_BFLOAT16 -> 2;
      case DT_FLOAT, DT_INT32 -> 4;
      case DT_DOUBLE, DT_INT64 -> 8;
      default -> throw new IllegalStateException("a variable of type " + type);
    };
  }
}
