package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

class AnyDeviceTest {
  private static String function(String name, String nodes) {
    return "library { function { signature { name: '%s' } %s } }".formatted(name, nodes);
  }

  private static String loop(String name, String condition, String body) {
    return """
        { name: '%s' op: 'While' device: '/device:CPU:0'
          attr { key: 'cond' value { func { name: '%s' } } }
          attr { key: 'body' value { func { name: '%s' } } } }
        """
        .formatted(name, condition, body);
  }

  private static GraphDef rewritten(GraphDef flat, GraphDef model) {
    return AnyDevice.of(new FlatGraph(flat, Map.of(), Optional.empty()), model).graphDef();
  }

  private static String body(NodeDef node) {
    return node.getAttrOrThrow("body").getFunc().getName();
  }

  private static FunctionDef function(GraphDef graph, String name) {
    List<FunctionDef> found =
        graph.getLibrary().getFunctionList().stream()
            .filter(each -> each.getSignature().getName().equals(name))
            .toList();
    assertEquals(1, found.size(), name);
    return found.get(0);
  }

  @Test
  void functionsOfTheModelThatAskBecomeCopies() {
    GraphDef model =
        graph(
            function("asking", "node_def { name: 'n' op: 'NoOp' device: '/device:GPU:0' }"),
            function("asking_anywhere", ""),
            function("content", "node_def { name: 'n' op: 'NoOp' }"),
            function("calling", "node_def { name: 'n' op: 'asking' }"));
    GraphDef flat =
        rewritten(
            graph(
                "node " + loop("quiet", "content", "content"),
                "node " + loop("loud", "asking", "calling"),
                "node { name: 'v' op: 'VarHandleOp' device: '/device:CPU:1' }"),
            model);
    assertEquals("content", body(node(flat, "quiet")));
    assertEquals("calling_anywhere", body(node(flat, "loud")));
    assertEquals("/device:CPU:1", node(flat, "v").getDevice());
    NodeDef call = function(flat, "calling_anywhere").getNodeDef(0);
    assertEquals("asking_anywhere_1", call.getOp());
    assertEquals("", function(flat, "asking_anywhere_1").getNodeDef(0).getDevice());
    assertEquals(2, flat.getLibrary().getFunctionCount());
  }

  @Test
  void functionsThatWereAddedKeepTheirNames() {
    GraphDef model =
        graph(function("asking", "node_def { name: 'n' op: 'NoOp' device: '/device:GPU:0' }"));
    GraphDef flat =
        rewritten(
            graph(
                "node " + loop("loop", "added", "added"),
                function("added", "node_def " + loop("inner", "asking", "asking"))),
            model);
    assertEquals("added", body(node(flat, "loop")));
    NodeDef inner = function(flat, "added").getNodeDef(0);
    assertEquals("asking_anywhere", body(inner));
    assertEquals("", inner.getDevice());
    assertEquals("", function(flat, "asking_anywhere").getNodeDef(0).getDevice());
  }
}
