package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.TextFormat;
import dev.adafactor.graph.FunctionGradients;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.OpList;

class FunctionFlattenerTest {
  private static final Map<String, OpDef> OPERATIONS =
      parse(
              OpList.newBuilder(),
              """
              op { name: "Placeholder" output_arg { name: "output" type_attr: "dtype" }
                   attr { name: "dtype" type: "type" } }
              op { name: "NoOp" }
              op { name: "Write" input_arg { name: "value" type: DT_FLOAT } }
              op { name: "Relu" input_arg { name: "features" type_attr: "T" }
                   output_arg { name: "activations" type_attr: "T" }
                   attr { name: "T" type: "type" default_value { type: DT_FLOAT } } }
              op { name: "Identity" input_arg { name: "input" type_attr: "T" }
                   output_arg { name: "output" type_attr: "T" } attr { name: "T" type: "type" } }
              op { name: "Halves" input_arg { name: "value" type: DT_FLOAT }
                   output_arg { name: "rest" type: DT_FLOAT }
                   output_arg { name: "parts" type: DT_FLOAT number_attr: "n" }
                   attr { name: "n" type: "int" } }
              op { name: "Merge" input_arg { name: "values" type_list_attr: "T" }
                   output_arg { name: "output" type: DT_FLOAT } attr { name: "T" type: "list(type)" } }
              op { name: "HashTable" output_arg { name: "table" type: DT_RESOURCE }
                   attr { name: "shared_name" type: "string" default_value { s: "" } } }
              op { name: "StatefulPartitionedCall" input_arg { name: "args" type_list_attr: "Tin" }
                   output_arg { name: "output" type_list_attr: "Tout" }
                   attr { name: "Tin" type: "list(type)" } attr { name: "Tout" type: "list(type)" }
                   attr { name: "f" type: "func" } }
              """)
          .build()
          .getOpList()
          .stream()
          .collect(Collectors.toMap(OpDef::getName, Function.identity()));

  private static final String X =
      "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } }";

  private static String call(String name, String function, String inputs) {
    return """
        node { name: '%s' op: 'StatefulPartitionedCall' %s
               attr { key: 'f' value { func { name: '%s' } } }
               attr { key: 'Tin' value { list { type: [DT_FLOAT] } } }
               attr { key: 'Tout' value { list { type: [DT_FLOAT] } } } }
        """
        .formatted(name, inputs, function);
  }

  /** A function f(a) = body's result r. */
  private static String function(String name, String body, String result, String more) {
    return """
        library { function {
          signature { name: '%s' input_arg { name: 'a' type: DT_FLOAT }
                      output_arg { name: 'r' type: DT_FLOAT } %s }
          %s ret { key: 'r' value: '%s' } } }
        """
        .formatted(name, more.isEmpty() ? "" : "control_output: 'effect'", body, result)
        .replace("ret {", (more.isEmpty() ? "" : more) + " ret {");
  }

  private static <B extends com.google.protobuf.Message.Builder> B parse(B builder, String text) {
    try {
      TextFormat.getParser().merge(text, builder);
      return builder;
    } catch (TextFormat.ParseException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static GraphDef graph(String... parts) {
    return parse(GraphDef.newBuilder(), String.join("\n", parts)).build();
  }

  private static FlatGraph flatten(String tensor, String... parts) {
    return FunctionFlattener.flatten(graph(parts), OPERATIONS, List.of(tensor));
  }

  private static NodeDef node(FlatGraph flat, String name) {
    List<NodeDef> found =
        flat.graphDef().getNodeList().stream().filter(n -> n.getName().equals(name)).toList();
    assertEquals(1, found.size(), () -> "nodes '" + name + "' in " + flat.graphDef());
    return found.get(0);
  }

  private static void assertRefused(String expected, Runnable action) {
    String message = assertThrows(IllegalArgumentException.class, action::run).getMessage();
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }

  private static final String RELU = "node_def { name: 'relu' op: 'Relu' input: 'a' }";

  @Test
  void anArgumentHasANameWhereAGradientThatPythonDefinedMayNeedIt() {
    String own = RELU.replace("input: 'a'", "input: 'a' attr { key: '%s' value { s: 'own' } }");
    FlatGraph flat =
        flatten(
            "call",
            X,
            call("call", "f", "input: 'x'"),
            function("f", own.formatted(FunctionGradients.PYTHON), "relu:activations:0", ""));
    assertEquals(List.of("x"), node(flat, "call/a").getInputList());
    assertEquals("Identity", node(flat, "call/a").getOp());
  }

  @Test
  void callBecomesTheBodyUnderTheCallsName() {
    FlatGraph flat =
        flatten(
            "call:0",
            X,
            call("call", "f", "input: 'x'"),
            function("f", RELU, "relu:activations:0", ""));
    assertEquals(Map.of("call:0", "call/r:0"), flat.tensors());
    assertEquals(List.of("x"), node(flat, "call/relu").getInputList());
    assertEquals(List.of("call/relu"), node(flat, "call/r").getInputList());
    assertEquals(DataType.DT_FLOAT, node(flat, "call/r").getAttrOrThrow("T").getType());
    assertEquals(0, flat.graphDef().getLibrary().getFunctionCount());
  }

  @Test
  void nestedAndDirectCallsAndArgumentsReturnedAsTheyAre() {
    FlatGraph flat =
        flatten(
            "call",
            X,
            call("call", "outer", "input: 'x'"),
            function(
                "outer",
                "node_def { name: 'inner' op: 'f' input: 'a' }"
                    + " node_def { name: 'again' op: 'pass' input: 'inner:r:0' }",
                "again:r:0",
                ""),
            function("f", RELU, "relu:activations:0", ""),
            function("pass", "", "a", ""));
    assertEquals("call/r:0", flat.tensors().get("call"));
    assertEquals(List.of("call/again/r"), node(flat, "call/r").getInputList());
    assertEquals(List.of("call/inner/r"), node(flat, "call/again/r").getInputList());
    assertEquals(List.of("x"), node(flat, "call/inner/relu").getInputList());
  }

  @Test
  void twoCallsOfOneFunctionAreTwoBodies() {
    FlatGraph flat =
        flatten(
            "second:0",
            X,
            call("first", "f", "input: 'x'"),
            call("second", "f", "input: 'first'"),
            function("f", RELU, "relu:activations:0", ""));
    assertEquals(List.of("first/r"), node(flat, "second/relu").getInputList());
    assertEquals(List.of("x"), node(flat, "first/relu").getInputList());
  }

  @Test
  void namesThatTheGraphHasAlreadyAreNotTakenTwice() {
    FlatGraph flat =
        flatten(
            "out",
            X,
            "node { name: 'call/relu' op: 'Relu' input: 'x' }",
            call("call", "f", "input: 'call/relu'"),
            "node { name: 'out' op: 'Relu' input: 'call' }",
            function("f", RELU, "relu:activations:0", ""));
    assertEquals(List.of("x"), node(flat, "call/relu").getInputList());
    assertEquals(List.of("call/relu"), node(flat, "call/relu_1").getInputList());
    assertEquals(List.of("call/relu_1"), node(flat, "call/r").getInputList());
  }

  @Test
  void resultsWaitForSideEffectsAndBodiesForTheirCallsControls() {
    FlatGraph flat =
        flatten(
            "call",
            X,
            "node { name: 'before' op: 'NoOp' }",
            call("call", "f", "input: 'x' input: '^before'"),
            function(
                "f",
                RELU + " node_def { name: 'write' op: 'Write' input: 'a' }",
                "relu:activations:0",
                "control_ret { key: 'effect' value: 'write' }"));
    assertEquals(List.of("^before"), node(flat, "call/start").getInputList());
    assertEquals(List.of("x", "^call/start"), node(flat, "call/write").getInputList());
    assertEquals(List.of("x", "^call/start"), node(flat, "call/relu").getInputList());
    assertEquals(List.of("^call/write", "^call/start"), node(flat, "call/done").getInputList());
    assertEquals(List.of("call/relu", "^call/done"), node(flat, "call/r").getInputList());
  }

  @Test
  void resultsInABodyThatEndsNoSoonerDoNotWait() {
    String effect = "control_ret { key: 'effect' value: '%s' }";
    FlatGraph flat =
        flatten(
            "call",
            X,
            call("call", "outer", "input: 'x'"),
            function(
                "outer",
                "node_def { name: 'f' op: 'f' input: 'a' }"
                    + " node_def { name: 'next' op: 'Relu' input: 'f:r:0' }",
                "next:activations:0",
                effect.formatted("f")),
            function(
                "f",
                RELU
                    + " node_def { name: 'write' op: 'Write' input: 'a' }"
                    + " node_def { name: 'writes' op: 'NoOp' input: '^write' }"
                    + " node_def { name: 'copy' op: 'Identity' input: 'relu:activations:0'"
                    + " input: '^writes' }",
                "copy:output:0",
                effect.formatted("write")));
    assertEquals(List.of("call/f/relu"), node(flat, "call/f/r").getInputList());
    assertEquals(List.of("call/next", "^call/done"), node(flat, "call/r").getInputList());
    assertEquals(List.of("^call/f/done"), node(flat, "call/done").getInputList());
    assertEquals(List.of("^call/f/write"), node(flat, "call/f/done").getInputList());
  }

  @Test
  void callsInABodyWaitForItsCallsControls() {
    FlatGraph flat =
        flatten(
            "call",
            X,
            "node { name: 'before' op: 'NoOp' }",
            call("call", "outer", "input: 'x' input: '^before'"),
            function(
                "outer",
                RELU + " node_def { name: 'f' op: 'f' input: 'relu:activations:0' }",
                "f:r:0",
                ""),
            function("f", RELU, "relu:activations:0", ""));
    assertEquals(List.of("^call/start"), node(flat, "call/f/start").getInputList());
  }

  @Test
  void dependingOnACallIsDependingOnItsCompletion() {
    FlatGraph flat =
        flatten(
            "out",
            X,
            call("call", "f", "input: 'x'"),
            "node { name: 'out' op: 'Relu' input: 'x' input: '^call' }",
            function(
                "f",
                "node_def { name: 'write' op: 'Write' input: 'a' }",
                "a",
                "control_ret { key: 'effect' value: 'write' }"));
    assertEquals(List.of("x", "^call/done"), node(flat, "out").getInputList());
    assertEquals(List.of("^call/write"), node(flat, "call/done").getInputList());
  }

  @Test
  void placeholdersOfAttributesGetTheCallsValues() {
    FlatGraph flat =
        flatten(
            "call",
            X,
            "node { name: 'call' op: 'g' input: 'x' attr { key: 'U' value { type: DT_FLOAT } } }",
            """
            library { function {
              signature { name: 'g' input_arg { name: 'a' type_attr: 'U' }
                output_arg { name: 'r' type_attr: 'U' } attr { name: 'U' type: 'type' } }
              node_def { name: 'relu' op: 'Relu' input: 'a'
                         attr { key: 'T' value { placeholder: 'U' } } }
              ret { key: 'r' value: 'relu:activations:0' } } }
            """);
    assertEquals(DataType.DT_FLOAT, node(flat, "call/relu").getAttrOrThrow("T").getType());
  }

  @Test
  void namedResultsAreCountedAcrossLists() {
    FlatGraph flat =
        flatten(
            "call",
            X,
            call("call", "f", "input: 'x'"),
            function(
                "f",
                "node_def { name: 'h' op: 'Halves' input: 'a' attr { key: 'n' value { i: 2 } } }"
                    + " node_def { name: 'm' op: 'Merge' input: 'h:parts' input: 'h:parts:1'"
                    + " input: 'h:rest:0' }",
                "m:output:0",
                ""));
    assertEquals(
        List.of("call/h:1", "call/h:2", "call/h:2", "call/h"), node(flat, "call/m").getInputList());
  }

  @Test
  void onlyWhatIsNeededIsKept() {
    FlatGraph flat =
        flatten(
            "used",
            X,
            "node { name: 'used' op: 'Relu' input: 'x' }",
            "node { name: 'unused' op: 'Unknown' input: 'x' }");
    assertEquals(2, flat.graphDef().getNodeCount());
  }

  @Test
  void onlyWhatTheGraphItselfHasAsksForADevice() {
    FlatGraph flat =
        flatten(
            "call",
            X.replace("op: 'P", "device: '/device:CPU:1' op: 'P"),
            call("call", "f", "input: 'x' device: '/device:CPU:0'"),
            function(
                "f",
                "node_def { name: 'relu' op: 'Relu' input: 'a' device: '/device:GPU:0' }",
                "relu:activations:0",
                ""));
    assertEquals("/device:CPU:1", node(flat, "x").getDevice());
    assertEquals("", node(flat, "call/relu").getDevice());
    assertEquals("", node(flat, "call/r").getDevice());
  }

  @Test
  void tablesKeepTheNameTheyGoBy() {
    FlatGraph flat =
        flatten(
            "table",
            "node { name: 'table' op: 'HashTable' attr { key: 'shared_name' value { s: '' } } }");
    assertEquals("table", node(flat, "table").getAttrOrThrow("shared_name").getS().toStringUtf8());
  }

  @Test
  void longChainsOfCallsDoNotExhaustTheStack() {
    StringBuilder parts = new StringBuilder(X);
    int length = 5_000;
    for (int i = 0; i < length; i++) {
      parts.append(call("call" + i, "f", "input: '" + (i == 0 ? "x" : "call" + (i - 1)) + "'"));
    }
    FlatGraph flat =
        flatten(
            "call" + (length - 1), parts.toString(), function("f", RELU, "relu:activations:0", ""));
    assertEquals(1 + 3 * length, flat.graphDef().getNodeCount());
  }

  @Test
  void deepNestingDoesNotExhaustTheStack() {
    StringBuilder parts = new StringBuilder(X + call("call", "f0", "input: 'x'"));
    int depth = 2_000;
    for (int i = 0; i < depth; i++) {
      String inner = "node_def { name: 'c' op: 'f" + (i + 1) + "' input: 'a' }";
      parts.append(function("f" + i, inner, "c:r:0", ""));
    }
    parts.append(function("f" + depth, RELU, "relu:activations:0", ""));
    FlatGraph flat = flatten("call", parts.toString());
    assertEquals(1 + 2 * (depth + 1) + 1, flat.graphDef().getNodeCount());
  }

  @Test
  void functionsThatCallThemselvesAreRefused() {
    assertRefused(
        "calls itself",
        () ->
            flatten(
                "call",
                X,
                call("call", "f", "input: 'x'"),
                function("f", "node_def { name: 'c' op: 'g' input: 'a' }", "c:r:0", ""),
                function("g", "node_def { name: 'c' op: 'f' input: 'a' }", "c:r:0", "")));
  }

  @Test
  void functionsThatGrowExponentiallyAreRefused() {
    StringBuilder parts = new StringBuilder(X + call("call", "f0", "input: 'x'"));
    for (int i = 0; i < 64; i++) {
      String twice =
          "node_def { name: 'c' op: 'f%1$d' input: 'a' }".formatted(i + 1)
              + " node_def { name: 'd' op: 'f%1$d' input: 'c:r:0' }".formatted(i + 1);
      parts.append(function("f" + i, twice, "d:r:0", ""));
    }
    parts.append(function("f64", RELU, "relu:activations:0", ""));
    assertRefused("too many", () -> flatten("call", parts.toString()));
  }

  @Test
  void whatDoesNotFitTogetherIsNamed() {
    assertRefused("'y:0' names no node", () -> flatten("y:0", X));
    assertRefused("no tensor 'x:1'", () -> flatten("x:1", X));
    assertRefused("unknown function 'f'", () -> flatten("c", X, call("c", "f", "input: 'x'")));
    assertRefused(
        "type 'Unknown'",
        () ->
            flatten(
                "u",
                X,
                "node { name: 'w' op: 'Unknown' input: 'x' }",
                "node { name: 'u' op: 'Relu' input: 'w' }"));
    assertRefused(
        "'c' calls function 'f' with 2 arguments",
        () -> flatten("c", X, call("c", "f", "input: ['x', 'x']"), function("f", RELU, "a", "")));
    assertRefused(
        "'nowhere:output:0'",
        () ->
            flatten(
                "c", X, call("c", "f", "input: 'x'"), function("f", RELU, "nowhere:output:0", "")));
    assertRefused(
        "two nodes have the name 'relu'",
        () -> flatten("c", X, call("c", "f", "input: 'x'"), function("f", RELU + RELU, "a", "")));
  }
}
