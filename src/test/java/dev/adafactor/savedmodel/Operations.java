package dev.adafactor.savedmodel;

import com.google.protobuf.Message;
import com.google.protobuf.TextFormat;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tensorflow.TensorFlow;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** TensorFlow's operations, and graphs from text. */
final class Operations {
  static final Map<String, OpDef> ALL =
      TensorFlow.registeredOpList().getOpList().stream()
          .collect(Collectors.toMap(OpDef::getName, Function.identity()));

  private Operations() {}

  static GraphDef graph(String... parts) {
    return parse(GraphDef.newBuilder(), String.join("\n", parts)).build();
  }

  static <B extends Message.Builder> B parse(B builder, String text) {
    try {
      TextFormat.getParser().merge(text, builder);
      return builder;
    } catch (TextFormat.ParseException e) {
      throw new IllegalArgumentException(e);
    }
  }

  static NodeDef node(GraphDef graph, String name) {
    return graph.getNodeList().stream()
        .filter(node -> node.getName().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no node '" + name + "' in " + graph));
  }

  /** The text of a node with attributes of types, {@code T: DT_FLOAT} for example. */
  static String node(String name, String op, String inputs, String attributes) {
    StringBuilder text = new StringBuilder("node { name: '" + name + "' op: '" + op + "'");
    for (String input : inputs.split(" ", -1)) {
      text.append(input.isEmpty() ? "" : " input: '" + input + "'");
    }
    for (String attribute : attributes.split(" ", -1)) {
      if (!attribute.isEmpty()) {
        String[] parts = attribute.split(":", -1);
        text.append(" attr { key: '" + parts[0] + "' value { type: DT_" + parts[1] + " } }");
      }
    }
    return text.append(" }").toString();
  }
}
