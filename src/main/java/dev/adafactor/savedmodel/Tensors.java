package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** The names and types of tensors in a flat graph: {@code node}, {@code node:index}. */
final class Tensors {
  private Tensors() {}

  /** The node in {@code node}, {@code node:index} or {@code ^node}. */
  static String node(String tensor) {
    int begin = tensor.startsWith("^") ? 1 : 0;
    int end = tensor.indexOf(':');
    return tensor.substring(begin, end < 0 ? tensor.length() : end);
  }

  static List<String> nodes(List<String> tensors) {
    return tensors.stream().map(Tensors::node).toList();
  }

  static int index(String tensor) {
    int colon = tensor.indexOf(':');
    return colon < 0 ? 0 : Integer.parseInt(tensor.substring(colon + 1));
  }

  /** A node's inputs without its control inputs. */
  static List<String> inputs(NodeDef node) {
    return node.getInputList().stream().filter(input -> !input.startsWith("^")).toList();
  }

  static List<String> controls(NodeDef node) {
    return node.getInputList().stream().filter(input -> input.startsWith("^")).toList();
  }

  static List<DataType> inputTypes(NodeDef node, Map<String, OpDef> operations) {
    return types(node, operations, operations.get(node.getOp()).getInputArgList());
  }

  static List<DataType> outputTypes(NodeDef node, Map<String, OpDef> operations) {
    return types(node, operations, operations.get(node.getOp()).getOutputArgList());
  }

  private static List<DataType> types(
      NodeDef node, Map<String, OpDef> operations, List<OpDef.ArgDef> arguments) {
    Attributes attributes = Attributes.of(operations.get(node.getOp()), node.getAttrMap());
    List<DataType> types = new ArrayList<>();
    arguments.forEach(argument -> types.addAll(attributes.types(argument)));
    return types;
  }

  /** Whether values of a type have derivatives. */
  static boolean isReal(DataType type) {
    return type == DataType.DT_FLOAT
        || type == DataType.DT_DOUBLE
        || type == DataType.DT_HALF
        || type == DataType.DT_BFLOAT16;
  }

  /** Bytes of an element, or of the reference to one that has no fixed size. */
  static int width(DataType type) {
    return switch (type) {
      case DT_BOOL, DT_INT8, DT_UINT8, DT_QINT8, DT_QUINT8 -> 1;
      case DT_HALF, DT_BFLOAT16, DT_INT16, DT_UINT16, DT_QINT16, DT_QUINT16 -> 2;
      case DT_FLOAT, DT_INT32, DT_UINT32, DT_QINT32 -> 4;
      case DT_COMPLEX128 -> 16;
      default -> 8;
    };
  }
}
