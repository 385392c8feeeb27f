package dev.adafactor.savedmodel;

import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;

/**
 * Replaces random operations, whose state no checkpoint holds, by ones that draw the same numbers
 * from the same seed, operation and step.
 *
 * <p>Seed and step come from one tensor that may be fed in each run. In a run where it is not, it
 * is random itself.
 */
final class StatelessRandomness {
  private static final Map<String, String> STATELESS =
      Map.of(
          "RandomUniform", "StatelessRandomUniform",
          "RandomStandardNormal", "StatelessRandomNormal",
          "TruncatedNormal", "StatelessTruncatedNormal",
          "RandomUniformInt", "StatelessRandomUniformInt");

  private StatelessRandomness() {}

  /** Replaces the random operations of a flat graph. Those inside branches and loops stay. */
  static FlatGraph rewrite(FlatGraph flat) {
    GraphDef.Builder graph = flat.graphDef().toBuilder().clearNode();
    Set<String> names = new HashSet<>();
    flat.graphDef().getNodeList().forEach(node -> names.add(node.getName()));
    if (flat.graphDef().getNodeList().stream()
        .noneMatch(node -> STATELESS.containsKey(node.getOp()))) {
      return flat;
    }
    String seed = unique("seed_and_step", names);
    addSeed(seed, names, graph);
    for (NodeDef node : flat.graphDef().getNodeList()) {
      if (STATELESS.containsKey(node.getOp())) {
        add(node, seed, names, graph);
      } else {
        graph.addNode(node);
      }
    }
    return new FlatGraph(graph.build(), flat.tensors(), Optional.of(seed));
  }

  private static void addSeed(String seed, Set<String> names, GraphDef.Builder graph) {
    String shape = unique(seed + "/shape", names);
    String low = unique(seed + "/low", names);
    String high = unique(seed + "/high", names);
    String random = unique(seed + "/random", names);
    TensorProto two =
        TensorProto.newBuilder()
            .setDtype(DataType.DT_INT32)
            .setTensorShape(vector(1))
            .addIntVal(2)
            .build();
    graph.addNode(Nodes.constant(shape, two));
    graph.addNode(Nodes.constant(low, scalar(0)));
    graph.addNode(Nodes.constant(high, scalar(Long.MAX_VALUE)));
    graph.addNode(
        NodeDef.newBuilder()
            .setName(random)
            .setOp("RandomUniformInt")
            .addInput(shape)
            .addInput(low)
            .addInput(high)
            .putAttr("T", GradientGraph.type(DataType.DT_INT32))
            .putAttr("Tout", GradientGraph.type(DataType.DT_INT64)));
    graph.addNode(
        NodeDef.newBuilder()
            .setName(seed)
            .setOp("PlaceholderWithDefault")
            .addInput(random)
            .putAttr("dtype", GradientGraph.type(DataType.DT_INT64))
            .putAttr("shape", AttrValue.newBuilder().setShape(vector(2)).build()));
  }

  private static void add(NodeDef node, String seed, Set<String> names, GraphDef.Builder graph) {
    String key = unique(node.getName() + "/key", names);
    String own = unique(node.getName() + "/seed", names);
    graph.addNode(
        Nodes.constant(
            key,
            TensorProto.newBuilder()
                .setDtype(DataType.DT_INT64)
                .setTensorShape(vector(2))
                .addInt64Val(hash(node.getName()))
                .addInt64Val(0)
                .build()));
    graph.addNode(
        NodeDef.newBuilder()
            .setName(own)
            .setOp("AddV2")
            .addInput(seed)
            .addInput(key)
            .putAttr("T", GradientGraph.type(DataType.DT_INT64)));
    boolean integers = node.getOp().equals("RandomUniformInt");
    graph.addNode(
        NodeDef.newBuilder()
            .setName(node.getName())
            .setOp(STATELESS.get(node.getOp()))
            .setDevice(node.getDevice())
            .addInput(node.getInput(0))
            .addInput(own)
            .addAllInput(node.getInputList().subList(1, node.getInputCount()))
            .putAttr("T", node.getAttrOrThrow("T"))
            .putAttr("Tseed", GradientGraph.type(DataType.DT_INT64))
            .putAttr("dtype", node.getAttrOrThrow(integers ? "Tout" : "dtype")));
  }

  /** The same for the same name in all processes and versions. */
  private static long hash(String name) {
    long hash = 0;
    for (int i = 0; i < name.length(); i++) {
      hash = 1_000_003 * hash + name.charAt(i);
    }
    return hash;
  }

  private static TensorProto scalar(long value) {
    return TensorProto.newBuilder()
        .setDtype(DataType.DT_INT64)
        .setTensorShape(TensorShapeProto.getDefaultInstance())
        .addInt64Val(value)
        .build();
  }

  private static TensorShapeProto vector(int size) {
    return TensorShapeProto.newBuilder()
        .addDim(TensorShapeProto.Dim.newBuilder().setSize(size))
        .build();
  }

  private static String unique(String name, Set<String> names) {
    String free = name;
    for (int i = 1; !names.add(free); i++) {
      free = name + "_" + i;
    }
    return free;
  }
}
