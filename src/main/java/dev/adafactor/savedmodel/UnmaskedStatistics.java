package dev.adafactor.savedmodel;

import dev.adafactor.graph.Reachable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * Statistics of batches that may lack a mask in what is saved for training.
 *
 * <p>tf_keras's batch normalization leaves masked positions out of its statistics; in inference it
 * knows no mask, so that comparing the functions for inference does not tell whether those for
 * training have it. tf_keras does not save the masks that a {@code Masking} layer, and a model
 * within the model, return.
 */
final class UnmaskedStatistics {
  private static final Set<String> REDUCTIONS = Set.of("Mean", "Sum");

  private static final Set<String> COPIES = Set.of("Cast", "Identity");

  /** Axes that are not known, or counted from the last, may be any. */
  private static final List<Long> UNKNOWN = List.of(-1L);

  private static final Set<String> MODELS =
      Set.of("_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model");

  private final Map<String, NodeDef> nodes;
  private final StaticNumbers numbers;

  private UnmaskedStatistics(GraphDef flat) {
    nodes = Nodes.byName(flat.getNodeList());
    numbers = new StaticNumbers(nodes, node -> Shape.unknown());
  }

  /**
   * Whether a function may compute statistics without a mask that Python has.
   *
   * @param flat a flat graph with the function
   * @param end the node of it that waits for all its effects
   * @param model the model that the function is of
   */
  static boolean mayBeIn(GraphDef flat, String end, MetaGraphDef model) {
    UnmaskedStatistics statistics = new UnmaskedStatistics(flat);
    boolean modelReturnsMask = hasModelWithin(model) && hasMasks(model);
    for (NodeDef node : statistics.before(List.of(end), NodeDef::getInputList)) {
      if (node.getOp().startsWith("Assign") && node.getInputCount() > 1) {
        List<NodeDef> before = statistics.before(List.of(node.getInput(1)), Tensors::inputs);
        if (before.stream().anyMatch(statistics::isOverPositions)
            && (modelReturnsMask || before.stream().anyMatch(statistics::isMasking))) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean hasModelWithin(MetaGraphDef model) {
    return model.getObjectGraphDef().getNodesList().stream()
        .skip(1)
        .anyMatch(object -> MODELS.contains(object.getUserObject().getIdentifier()));
  }

  /** An embedding finds its mask by comparing, whether anything uses the mask or not. */
  private static boolean hasMasks(MetaGraphDef model) {
    return model.getGraphDef().getLibrary().getFunctionList().stream()
        .flatMap(function -> function.getNodeDefList().stream())
        .anyMatch(node -> node.getOp().equals("NotEqual"));
  }

  /** What nodes are computed from, and they themselves. */
  private List<NodeDef> before(List<String> roots, Function<NodeDef, List<String>> inputs) {
    return Reachable.from(known(roots), name -> known(inputs.apply(nodes.get(name)))).stream()
        .map(nodes::get)
        .toList();
  }

  private List<String> known(List<String> tensors) {
    return Tensors.nodes(tensors).stream().filter(nodes::containsKey).toList();
  }

  /**
   * Whether a node may reduce a batch over its examples and more, such as the positions in them.
   *
   * <p>A layer that is applied to each position by itself gets them as further examples.
   */
  private boolean isOverPositions(NodeDef node) {
    if (!REDUCTIONS.contains(node.getOp()) || node.getInputCount() < 2) {
      return false;
    }
    List<Long> axes = numbers.known(node.getInput(1)).orElse(UNKNOWN);
    boolean overExamples = axes.contains(0L) || axes.stream().anyMatch(axis -> axis < 0);
    return overExamples && (axes.size() > 1 || axes.get(0) < 0 || isReshaped(node.getInput(0)));
  }

  private boolean isReshaped(String tensor) {
    NodeDef node = nodes.get(Tensors.node(tensor));
    while (node != null && COPIES.contains(node.getOp()) && node.getInputCount() > 0) {
      node = nodes.get(Tensors.node(node.getInput(0)));
    }
    return node != null && node.getOp().equals("Reshape");
  }

  /** Whether a node is of a {@code Masking} layer. */
  private boolean isMasking(NodeDef node) {
    return node.getOp().equals("Any")
        && before(List.of(node.getInput(0)), Tensors::inputs).stream()
            .anyMatch(compared -> compared.getOp().equals("NotEqual"));
  }
}
