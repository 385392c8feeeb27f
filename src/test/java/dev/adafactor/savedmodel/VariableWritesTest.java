package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.GraphDef;

class VariableWritesTest {
  private static final GraphDef NONE = GraphDef.getDefaultInstance();

  private static String variable(String name) {
    return node(name, "VarHandleOp", "", "dtype:FLOAT");
  }

  /** A function of a resource and a number, which it gives back. */
  private static String function(String name, String nodes) {
    return """
        library { function {
          signature { name: '%s' input_arg { name: 'v' type: DT_RESOURCE }
                      input_arg { name: 'x' type: DT_FLOAT }
                      output_arg { name: 'r' type: DT_FLOAT } control_output: 'end' }
          %s ret { key: 'r' value: 'x' } control_ret { key: 'end' value: 'end' } } }
        """
        .formatted(name, nodes);
  }

  private static String writing(String name) {
    return function(
        name,
        node("end", "AssignAddVariableOp", "v x", "dtype:FLOAT").replace("node {", "node_def {"));
  }

  private static String reading(String name) {
    return function(
        name, node("end", "ReadVariableOp", "v", "dtype:FLOAT").replace("node {", "node_def {"));
  }

  private static String branches(String name, String inputs, String then, String otherwise) {
    return """
        { name: '%s' op: 'If' %s
          attr { key: 'Tcond' value { type: DT_BOOL } }
          attr { key: 'Tin' value { list { type: [DT_RESOURCE, DT_FLOAT] } } }
          attr { key: 'Tout' value { list { type: DT_FLOAT } } }
          attr { key: 'then_branch' value { func { name: '%s' } } }
          attr { key: 'else_branch' value { func { name: '%s' } } } }
        """
        .formatted(name, inputs, then, otherwise);
  }

  private static Set<String> writes(GraphDef flat, GraphDef model) {
    return VariableWrites.of(flat, model, Operations.ALL);
  }

  @Test
  void areNoReads() {
    assertEquals(
        Set.of("assigned", "moved", "scattered"),
        writes(
            graph(
                variable("a"),
                variable("b"),
                variable("c"),
                variable("assigned"),
                variable("moved"),
                variable("scattered"),
                node("read", "ReadVariableOp", "a", ""),
                node("rows", "ResourceGather", "b read", ""),
                node("points", "ResourceGatherNd", "c read", ""),
                node("same", "Identity", "assigned", "T:RESOURCE"),
                node("assign", "AssignVariableOp", "same read", ""),
                node("move", "AssignSubVariableOp", "moved read", ""),
                node("scatter", "ResourceScatterUpdate", "scattered rows read", "")),
            NONE));
  }

  @Test
  void areFoundInBranches() {
    GraphDef model = graph(writing("writing"), reading("reading"));
    String inputs = "input: 'p' input: '%s' input: 'x'";
    GraphDef flat =
        graph(
            node("p", "Placeholder", "", "dtype:BOOL"),
            node("x", "Placeholder", "", "dtype:FLOAT"),
            variable("read"),
            variable("written"),
            "node " + branches("r", inputs.formatted("read"), "reading", "reading"),
            "node " + branches("w", inputs.formatted("written"), "reading", "writing"));
    assertEquals(Set.of("written"), writes(flat, model));
  }

  /** A loop's function that was added, a branch in it, and a call in that. */
  @Test
  void areFoundInWhatFunctionsCall() {
    GraphDef model =
        graph(
            writing("writing"),
            reading("reading"),
            function("calling", "node_def { name: 'end' op: 'writing' input: ['v', 'x'] }"),
            function("condition", "node_def { name: 'end' op: 'NoOp' }"));
    String body =
        function(
            "body",
            """
            node_def { name: 'p' op: 'Const' attr { key: 'dtype' value { type: DT_BOOL } } }
            node_def
            """
                + branches(
                    "end", "input: 'p:output:0' input: 'v' input: 'x'", "reading", "calling"));
    GraphDef flat =
        graph(
            node("x", "Placeholder", "", "dtype:FLOAT"),
            variable("read"),
            variable("written"),
            """
            node { name: 'loop' op: 'While' input: 'written' input: 'x'
                   attr { key: 'T' value { list { type: [DT_RESOURCE, DT_FLOAT] } } }
                   attr { key: 'cond' value { func { name: 'condition' } } }
                   attr { key: 'body' value { func { name: 'body' } } } }
            """,
            body);
    assertEquals(Set.of("written"), writes(flat, model));
  }
}
