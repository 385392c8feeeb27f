package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;

class FlatFunctionTest {
  /** f(a, b) = top value of -a; b is not used. */
  private static final GraphDef MODEL =
      graph(
          """
          library { function {
            signature { name: 'f' input_arg { name: 'a' type: DT_FLOAT }
                        input_arg { name: 'b' type: DT_INT32 }
                        output_arg { name: 'r' type: DT_INT32 } }
            node_def { name: 'k' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } }
            node_def { name: 'n' op: 'Neg' input: 'a' attr { key: 'T' value { type: DT_FLOAT } } }
            node_def { name: 't' op: 'TopKV2' input: 'n:y:0' input: 'k:output:0'
                       attr { key: 'T' value { type: DT_FLOAT } } }
            ret { key: 'r' value: 't:indices:0' } } }
          """);

  private static FlatFunction flat(String name) {
    return FlatFunction.of(NameAttrList.newBuilder().setName(name).build(), MODEL, Operations.ALL);
  }

  @Test
  void argumentsArePlaceholders() {
    FlatFunction f = flat("f");
    assertEquals(List.of("argument_0", "argument_1"), f.arguments());
    assertEquals(DataType.DT_FLOAT, f.type("argument_0"));
    assertEquals(DataType.DT_INT32, f.type("argument_1"));
    assertEquals(List.of("body/r:0"), f.results());
    assertEquals(List.of("body/t:1"), node(f.graphDef(), "body/r").getInputList());
  }

  @Test
  void whatAFunctionWithoutResultsDoesIsKept() {
    GraphDef model =
        graph(
            """
            library { function {
              signature { name: 'g' control_output: 'end' }
              node_def { name: 'write' op: 'NoOp' }
              control_ret { key: 'end' value: 'write' } } }
            """);
    FlatFunction g =
        FlatFunction.of(NameAttrList.newBuilder().setName("g").build(), model, Operations.ALL);
    assertEquals("NoOp", node(g.graphDef(), "body/write").getOp());
  }

  @Test
  void prunedFunctionsHaveWhatTheyNeed() {
    FlatFunction f = flat("f").pruned();
    assertEquals(List.of("argument_0"), f.arguments());
    assertEquals(5, f.graphDef().getNodeCount());
  }

  @Test
  void writtenFunctionsNameResultsAsFunctionsDo() {
    FunctionDef written = FunctionWriter.write("g", flat("f"), Operations.ALL);
    assertEquals("g", written.getSignature().getName());
    assertEquals(2, written.getSignature().getInputArgCount());
    assertEquals(DataType.DT_INT32, written.getSignature().getOutputArg(0).getType());
    assertEquals("body/r:output:0", written.getRetOrThrow("result_0"));
    var top =
        written.getNodeDefList().stream()
            .filter(n -> n.getOp().equals("TopKV2"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of("body/n:y:0", "body/k:output:0"), top.getInputList());
    var negated =
        written.getNodeDefList().stream()
            .filter(n -> n.getOp().equals("Neg"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of("argument_0"), negated.getInputList());
  }

  @Test
  void unknownFunctionsAreNamed() {
    String message = assertThrows(IllegalArgumentException.class, () -> flat("g")).getMessage();
    assertTrue(message.contains("no function 'g'"), message);
  }

  private static FlatFunction reading(String... more) {
    return new FlatFunction(
        graph(
            node("a", "Placeholder", "", "dtype:RESOURCE"),
            node("same", "Identity", "a", "T:RESOURCE"),
            node("read", "ReadVariableOp", "same ^a", "dtype:FLOAT"),
            String.join("", more)),
        List.of("a"),
        List.of("read:0"));
  }

  @Test
  void variablesThatAreOnlyReadBecomeValues() {
    FlatFunction function = reading();
    assertEquals(Optional.of(DataType.DT_FLOAT), VariableArguments.valueType(List.of(function), 0));
    FlatFunction values = VariableArguments.withValue(function, 0, DataType.DT_FLOAT);
    assertEquals(DataType.DT_FLOAT, values.type("a"));
    assertEquals("Identity", node(values.graphDef(), "read").getOp());
    assertEquals(List.of("same", "^a"), node(values.graphDef(), "read").getInputList());
    assertEquals(DataType.DT_FLOAT, node(values.graphDef(), "same").getAttrOrThrow("T").getType());
  }

  @Test
  void variablesThatAreWrittenDoNot() {
    FlatFunction function = reading(node("write", "AssignVariableOp", "same read", "dtype:FLOAT"));
    assertEquals(Optional.empty(), VariableArguments.valueType(List.of(function), 0));
  }
}
