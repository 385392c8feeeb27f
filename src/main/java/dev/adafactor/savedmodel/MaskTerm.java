package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

/**
 * Whether a term of a sum can only be a mask: conditions on inputs, or numbers for their being true
 * and false. What is learned is none.
 */
final class MaskTerm {
  /** What gives the numbers of its first input in another shape. */
  static final Set<String> SHAPING =
      Set.of("BroadcastTo", "ExpandDims", "Reshape", "Squeeze", "Tile", "Transpose");

  private static final Set<String> SELECTIONS = Set.of("Select", "SelectV2");

  private static final Set<String> ARITHMETIC = Set.of("Add", "AddV2", "Mul", "Sub");

  /** Shapes say nothing of what is in a tensor. */
  private static final Set<String> SIZES = Set.of("Rank", "Shape", "Size");

  private final GraphMatch graph;

  MaskTerm(GraphMatch graph) {
    this.graph = graph;
  }

  /** Whether numbers are computed from conditions and constants alone. */
  boolean isOfConditions(String numbers) {
    String tensor = numbers;
    while (true) {
      NodeDef node = graph.node(graph.source(tensor));
      List<String> inputs = Tensors.inputs(node);
      if (isOfBooleans(node) || isOfConstants(node)) {
        return isCondition(inputs.get(0));
      }
      if (SHAPING.contains(node.getOp()) || node.getOp().equals("Cast")) {
        tensor = inputs.get(0);
      } else if (ARITHMETIC.contains(node.getOp())
          && isConstant(inputs.get(0)) != isConstant(inputs.get(1))) {
        tensor = inputs.get(isConstant(inputs.get(0)) ? 1 : 0);
      } else {
        return false;
      }
    }
  }

  /**
   * Whether a condition depends on no variable, but for where a tensor is not equal to a constant,
   * which is how tf_keras's layers make masks.
   */
  boolean isCondition(String booleans) {
    Set<String> met = new HashSet<>();
    Deque<String> open = new ArrayDeque<>(List.of(booleans));
    while (!open.isEmpty()) {
      NodeDef node = graph.node(open.remove());
      if (node.getOp().equals("VarHandleOp")) {
        return false;
      }
      boolean isKnown = SIZES.contains(node.getOp()) || comparesWithConstant(node);
      if (met.add(node.getName()) && !isKnown) {
        open.addAll(Tensors.inputs(node));
      }
    }
    return true;
  }

  private boolean comparesWithConstant(NodeDef node) {
    return node.getOp().equals("NotEqual")
        && Tensors.inputs(node).stream().anyMatch(this::isConstant);
  }

  private boolean isConstant(String tensor) {
    return graph.node(graph.source(tensor)).getOp().equals("Const");
  }

  private static boolean isOfBooleans(NodeDef node) {
    return node.getOp().equals("Cast")
        && node.getAttrOrDefault("SrcT", AttrValue.getDefaultInstance()).getType()
            == DataType.DT_BOOL;
  }

  private boolean isOfConstants(NodeDef node) {
    return SELECTIONS.contains(node.getOp())
        && isConstant(node.getInput(1))
        && isConstant(node.getInput(2));
  }
}
