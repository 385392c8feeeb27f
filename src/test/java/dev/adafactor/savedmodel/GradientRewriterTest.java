package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.graph.FunctionGradients;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;

class GradientRewriterTest {
  private static final String VARIABLE =
      node("w", "VarHandleOp", "", "dtype:FLOAT")
          + node("value", "ReadVariableOp", "w", "dtype:FLOAT")
          + node("ids", "Placeholder", "", "dtype:INT32");

  private static GraphDef rewrite(String result, String... parts) {
    GraphDef flat = graph(parts);
    return GradientRewriter.rewrite(
            new FlatGraph(
                flat.toBuilder().clearLibrary().build(),
                Map.of(result, result + ":0"),
                Optional.empty()),
            MetaGraphDef.newBuilder().setGraphDef(flat).build(),
            Operations.ALL)
        .graphDef();
  }

  @Test
  void rowsOfVariablesAreRowsOfTheirValues() {
    GraphDef rewritten =
        rewrite(
            "rows",
            VARIABLE,
            node("rows", "ResourceGather", "w ids ^value", "dtype:FLOAT Tindices:INT32"));
    NodeDef rows = node(rewritten, "rows");
    assertEquals("GatherV2", rows.getOp());
    assertEquals(List.of("rows/read", "ids", "rows/axis", "^value"), rows.getInputList());
    NodeDef read = node(rewritten, "rows/read");
    assertEquals("ReadVariableOp", read.getOp());
    assertEquals(List.of("w", "^value"), read.getInputList());
  }

  @Test
  void whatDependsOnNoVariableStaysAsItIs() {
    String erfc = node("x", "Placeholder", "", "dtype:FLOAT") + node("y", "Erfc", "x", "T:FLOAT");
    assertEquals(graph(VARIABLE, erfc).getNodeList(), rewrite("y", VARIABLE, erfc).getNodeList());
  }

  @Test
  void steppedFunctionsPassNoGradient() {
    GraphDef rewritten = rewrite("y", VARIABLE, node("y", "Round", "value", "T:FLOAT"));
    assertEquals("Round", node(rewritten, "y/forward").getOp());
    assertEquals("StopGradient", node(rewritten, "y").getOp());
    assertEquals(List.of("y/forward"), node(rewritten, "y").getInputList());
  }

  @Test
  void integersPassNoGradient() {
    GraphDef rewritten =
        rewrite("y", VARIABLE, node("y", "Cast", "value", "SrcT:FLOAT DstT:INT32"));
    assertEquals("StopGradient", node(rewritten, "y").getOp());
  }

  @Test
  void operationsWithoutNativeGradientGetAFunction() {
    GraphDef rewritten = rewrite("y", VARIABLE, node("y", "Erfc", "value", "T:FLOAT"));
    NodeDef identities = node(rewritten, "y");
    assertEquals("IdentityN", identities.getOp());
    assertEquals(List.of("y/stop", "value"), identities.getInputList());
    assertEquals(List.of("y/forward:0"), node(rewritten, "y/stop").getInputList());
    assertEquals("Erfc", node(rewritten, "y/forward").getOp());
    FunctionDef function = rewritten.getLibrary().getFunction(0);
    assertEquals(
        function.getSignature().getName(),
        identities.getAttrOrThrow(FunctionGradients.FUNCTION).getS().toStringUtf8());
    assertEquals(
        List.of("x_0", "dy_0"),
        function.getSignature().getInputArgList().stream().map(a -> a.getName()).toList());
    assertEquals(
        List.of(1L, 2L),
        identities.getAttrOrThrow(FunctionGradients.ARGUMENTS).getList().getIList());
    assertEquals(
        List.of(1L), identities.getAttrOrThrow(FunctionGradients.INPUTS).getList().getIList());
  }

  @Test
  void equalOperationsShareTheirFunction() {
    GraphDef rewritten =
        rewrite(
            "z",
            VARIABLE,
            node("y", "Erfc", "value", "T:FLOAT"),
            node("z", "Erfc", "y", "T:FLOAT"));
    assertEquals(1, rewritten.getLibrary().getFunctionCount());
  }

  @Test
  void nativeGradientsDoNotFollowWhatHasNone() {
    GraphDef rewritten =
        rewrite(
            "y",
            VARIABLE,
            node("shape", "Shape", "value", "T:FLOAT out_type:INT32"),
            node("noise", "RandomStandardNormal", "shape", "T:INT32 dtype:FLOAT"),
            node("y", "AddV2", "value noise", "T:FLOAT"));
    assertEquals(List.of("value", "y/stop"), node(rewritten, "y").getInputList());
    assertEquals(List.of("noise"), node(rewritten, "y/stop").getInputList());
  }

  @Test
  void operationsWithoutAnyGradientAreLeftToBeRefused() {
    GraphDef rewritten = rewrite("y", VARIABLE, node("y", "BesselI0", "value", "T:FLOAT"));
    assertTrue(TrustedGradients.objection(node(rewritten, "y")).isPresent());
  }

  private static String branches(String op) {
    String inputs =
        "input: 'c' input: 'value' attr { key: 'Tin' value { list { type: DT_FLOAT } } }"
            + " attr { key: 'Tout' value { list { type: DT_FLOAT } } }"
            + " attr { key: 'Tcond' value { type: DT_BOOL } }";
    String branch =
        """
        function {
          signature { name: '%1$s' input_arg { name: 'a' type: DT_FLOAT }
                      output_arg { name: 'r' type: DT_FLOAT } }
          node_def { name: 'n' op: '%2$s' input: 'a'
                     attr { key: 'T' value { type: DT_FLOAT } } }
          ret { key: 'r' value: 'n:y:0' } }
        """;
    return node("c", "Placeholder", "", "dtype:BOOL")
        + "node { name: 'y' op: 'StatelessIf' "
        + inputs
        + " attr { key: 'then_branch' value { func { name: 'then' } } }"
        + " attr { key: 'else_branch' value { func { name: 'else' } } } }"
        + "library { "
        + branch.formatted("then", op)
        + branch.formatted("else", "Neg")
        + " }";
  }

  @Test
  void branchesGetAFunction() {
    GraphDef rewritten = rewrite("y", VARIABLE, branches("Exp"));
    NodeDef y = node(rewritten, "y");
    assertTrue(y.containsAttr(FunctionGradients.FUNCTION));
    assertEquals("StatelessIf", node(rewritten, "y/forward").getOp());
    assertEquals(Optional.empty(), TrustedGradients.objection(y));
  }

  @Test
  void whatStandsInABranchesWayIsNamed() {
    NodeDef y = node(rewrite("y", VARIABLE, branches("BesselI0")), "y");
    assertFalse(y.containsAttr(FunctionGradients.FUNCTION));
    String reason = TrustedGradients.objection(y).orElseThrow();
    assertTrue(reason.contains("because of BesselI0 'body/n'"), reason);
  }

  @Test
  void branchesThatContainThemselvesAreRefused() {
    String inner =
        "op: 'StatelessIf' input: 'b' input: 'a'".replace("'b'", "'a'")
            + " attr { key: 'Tin' value { list { type: DT_FLOAT } } }"
            + " attr { key: 'Tout' value { list { type: DT_FLOAT } } }"
            + " attr { key: 'Tcond' value { type: DT_FLOAT } }"
            + " attr { key: 'then_branch' value { func { name: 'then' } } }"
            + " attr { key: 'else_branch' value { func { name: 'else' } } }";
    String text =
        branches("Exp")
            .replaceFirst(
                "op: 'Exp' input: 'a'\\s*attr \\{ key: 'T' value \\{ type: DT_FLOAT \\} \\}", inner)
            .replaceFirst("n:y:0", "n:output:0");
    String message =
        assertThrows(IllegalArgumentException.class, () -> rewrite("y", VARIABLE, text))
            .getMessage();
    assertTrue(message.contains("'then' contains itself"), message);
  }

  private static void assertInconsistent(String expected, String... parts) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> rewrite("y", parts)).getMessage();
    assertTrue(message.contains(expected), message);
  }

  @Test
  void whatDoesNotFitTogetherIsNamed() {
    assertInconsistent(
        "node 'y' has 1 inputs in place of 2", VARIABLE, node("y", "AddV2", "value", "T:FLOAT"));
    assertInconsistent("type 'Unknown'", VARIABLE, node("y", "Unknown", "value", ""));
    assertInconsistent(
        "node 'y' is without its attribute 'then_branch'",
        VARIABLE,
        branches("Exp").replace("'then_branch'", "'other'"));
    assertInconsistent(
        "node 'y' does not fit its branches",
        VARIABLE,
        branches("Exp")
            .replace("input_arg {", "input_arg { name: 'b' type: DT_FLOAT } input_arg {"));
  }

  @Test
  void typesOfListsAreFoundAtTheirOrigin() {
    GraphDef lists =
        graph(
            node("list", "TensorListReserve", "s n", "element_dtype:BOOL shape_type:INT32"),
            node("set", "TensorListSetItem", "list i v", "element_dtype:BOOL"),
            node("same", "Identity", "set", "T:VARIANT"),
            node("argument", "Placeholder", "", "dtype:VARIANT"),
            node("other", "Placeholder", "", "dtype:VARIANT"));
    ListTypes types = new ListTypes(lists, Map.of("argument", DataType.DT_HALF));
    assertEquals(Optional.of(DataType.DT_BOOL), types.of("same"));
    assertEquals(Optional.of(DataType.DT_HALF), types.of("argument:0"));
    assertEquals(Optional.empty(), types.of("other"));
  }
}
