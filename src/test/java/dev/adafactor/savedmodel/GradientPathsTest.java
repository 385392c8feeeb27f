package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

class GradientPathsTest {
  private final GraphDef.Builder graph = GraphDef.newBuilder();

  private GradientPathsTest node(String name, String op, String... inputs) {
    graph.addNode(NodeDef.newBuilder().setName(name).setOp(op).addAllInput(List.of(inputs)));
    return this;
  }

  private List<String> between(String tensor, String... variables) {
    return GradientPaths.between(graph.build(), tensor, List.of(variables)).stream()
        .map(NodeDef::getName)
        .toList();
  }

  @Test
  void onlyNodesBetweenVariableAndTensorCount() {
    node("w", "VarHandleOp").node("v", "VarHandleOp").node("x", "Placeholder");
    node("read", "ReadVariableOp", "w").node("other", "ReadVariableOp", "v");
    node("product", "MatMul", "x", "read").node("side", "Exp", "read");
    node("y", "Add", "product", "other:0");
    assertEquals(List.of("read", "product", "y"), between("y:0", "w"));
    assertEquals(List.of("read", "other", "product", "y"), between("y:0", "w", "v"));
  }

  @Test
  void shapesAndControlsCarryNoGradient() {
    node("w", "VarHandleOp").node("read", "ReadVariableOp", "w").node("x", "Placeholder");
    node("shape", "Shape", "read").node("y", "Reshape", "x", "shape", "^read");
    assertEquals(List.of(), between("y:0", "w"));
  }
}
