package dev.adafactor.savedmodel;

import com.google.protobuf.ByteString;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;

/** Nodes that rewritten graphs are made of. */
final class Nodes {
  private Nodes() {}

  static Map<String, NodeDef> byName(List<NodeDef> nodes) {
    Map<String, NodeDef> byName = new HashMap<>();
    nodes.forEach(node -> byName.put(node.getName(), node));
    return byName;
  }

  static NodeDef constant(String name, int value) {
    TensorProto tensor =
        TensorProto.newBuilder()
            .setDtype(DataType.DT_INT32)
            .setTensorShape(TensorShapeProto.getDefaultInstance())
            .addIntVal(value)
            .build();
    return constant(name, tensor);
  }

  static NodeDef constant(String name, TensorProto tensor) {
    return NodeDef.newBuilder()
        .setName(name)
        .setOp("Const")
        .putAttr("dtype", GradientGraph.type(tensor.getDtype()))
        .putAttr("value", AttrValue.newBuilder().setTensor(tensor).build())
        .build();
  }

  static NodeDef stopGradient(String name, String tensor, DataType type) {
    return of(name, "StopGradient", tensor, type);
  }

  static NodeDef identity(String name, String tensor, DataType type) {
    return of(name, "Identity", tensor, type);
  }

  private static NodeDef of(String name, String op, String tensor, DataType type) {
    return NodeDef.newBuilder()
        .setName(name)
        .setOp(op)
        .addInput(tensor)
        .putAttr("T", GradientGraph.type(type))
        .build();
  }

  /** The texts of a constant; none if there is no such node. */
  static List<String> strings(Optional<NodeDef> constant) {
    return constant
        .map(node -> node.getAttrOrDefault("value", AttrValue.getDefaultInstance()))
        .map(value -> value.getTensor().getStringValList())
        .orElse(List.of())
        .stream()
        .map(ByteString::toStringUtf8)
        .toList();
  }

  static AttrValue text(String text) {
    return AttrValue.newBuilder().setS(ByteString.copyFromUtf8(text)).build();
  }
}
