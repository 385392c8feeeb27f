package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.GraphDef;

class GraphMatchTest {
  /** An input [?, 5] that is named, and one of the other trace, of unknown shape. */
  private static final String INPUTS =
      node("x", "Placeholder", "", "dtype:FLOAT")
              .replaceFirst(
                  "}$",
                  "attr { key: 'shape' value { shape { dim { size: -1 } dim { size: 5 } } } } }")
          + node("y", "Placeholder", "", "dtype:FLOAT");

  private static String constant(String name, int... values) {
    StringBuilder text = new StringBuilder("node { name: '" + name + "' op: 'Const' ");
    text.append("attr { key: 'dtype' value { type: DT_INT32 } } ");
    text.append("attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { ");
    text.append(values.length == 1 ? "" : "dim { size: " + values.length + " } ").append("} ");
    for (int value : values) {
      text.append("int_val: " + value + " ");
    }
    return text.append("} } } }").toString();
  }

  private static String size(String prefix, String input, int dimension) {
    return node(prefix + "shape", "Shape", input, "")
        + constant(prefix + "at", dimension)
            .replace("tensor_shape { }", "tensor_shape { dim { size: 1 } }")
        + node(prefix + "size", "StridedSlice", prefix + "shape " + prefix + "at x x", "")
            .replaceFirst("}$", "attr { key: 'shrink_axis_mask' value { i: 1 } } }");
  }

  private static Optional<String> difference(String first, String second, String... parts) {
    GraphDef graph = Operations.graph(INPUTS, String.join("\n", parts));
    return new GraphMatch(graph, graph, Operations.ALL)
        .match(first, second, Map.of("y", "x")).different().stream()
            .map(GraphMatch.Pair::first)
            .findFirst();
  }

  @Test
  void aSizeThatIsKnownIsWhatAnotherTraceAsksFor() {
    String[] reshapes = {
      size("b/", "y", 1),
      constant("b/-1", -1),
      node("b/pack", "Pack", "b/-1 b/size", ""),
      node("b", "Reshape", "y b/pack", ""),
      constant("five", -1, 5),
      node("a", "Reshape", "x five", ""),
      constant("six", -1, 6),
      node("other", "Reshape", "x six", ""),
    };
    assertEquals(Optional.empty(), difference("a", "b", reshapes));
    assertEquals(Optional.of("six"), difference("other", "b", reshapes));
  }

  @Test
  void aSizeThatNobodyKnowsIsNoNumber() {
    String[] parts = {
      size("b/", "y", 0), constant("a/size", 5),
    };
    assertFalse(difference("a/size", "b/size", parts).isEmpty());
  }

  @Test
  void calculatingWithSizesIsNotAllTheSame() {
    String[] parts = {
      size("a/", "x", 1),
      constant("a/1000", 1000),
      node("a", "AddV2", "a/size a/1000", ""),
      size("b/", "y", 1),
      constant("b/1", 1),
      node("b", "Mul", "b/size b/1", ""),
      node("same", "AddV2", "b/size a/1000", ""),
    };
    assertFalse(difference("a", "b", parts).isEmpty());
    assertTrue(difference("a", "same", parts).isEmpty());
  }
}
