package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.savedmodel.FunctionChoice.Part;
import dev.adafactor.savedmodel.SignatureMatch.NoMatchException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

class MissingMasksTest {
  private static final String INPUT =
      node("ids", "Placeholder", "", "dtype:FLOAT") + node("zero", "Const", "", "dtype:FLOAT");

  private static final String READ =
      node("variable", "VarHandleOp", "", "dtype:FLOAT")
          + node("s/read", "ReadVariableOp", "variable", "dtype:FLOAT");

  /** Scores that a mask of the ids is added to, their softmax, and its negative. */
  private static final String SIGNATURE =
      node("s/scores", "Exp", "ids", "")
          + node("s/NotEqual", "NotEqual", "ids zero", "")
          + node("s/Cast", "Cast", "s/NotEqual", "SrcT:BOOL")
          + node("s/add", "AddV2", "s/scores s/Cast", "")
          + node("s/softmax", "Softmax", "s/add", "")
          + node("s/out", "Neg", "s/softmax", "");

  private static final String INFERENCE =
      node("f/scores", "Exp", "ids", "")
          + node("f/softmax", "Softmax", "f/scores", "")
          + node("f/dropout/Identity", "Identity", "f/softmax", "")
          + node("f/out", "Neg", "f/dropout/Identity", "");

  private static final String TRAINING =
      node("t/scores", "Exp", "ids", "")
          + node("t/softmax", "Softmax", "t/scores", "")
          + node("t/dropout/Shape", "Shape", "t/softmax", "")
          + node("t/dropout/random", "RandomUniform", "t/dropout/Shape", "")
          + node("t/dropout/Mul", "Mul", "t/softmax t/dropout/random", "")
          + node("t/out", "Neg", "t/dropout/Mul", "");

  private static Part part(String result, String... losses) {
    return new Part(Map.of("y", result), List.of(losses), Optional.empty());
  }

  private static Map<String, NodeDef> add(List<String> losses, String... parts)
      throws NoMatchException {
    return completed(List.of(part("t/out", losses.toArray(String[]::new))), losses, parts);
  }

  private static Map<String, NodeDef> completed(
      List<Part> functions, List<String> losses, String... parts) throws NoMatchException {
    GraphDef graph = Operations.graph(INPUT, String.join("\n", parts));
    List<String> tensors = new ArrayList<>(List.of("s/out", "f/out", "t/out"));
    tensors.addAll(losses);
    FlatGraph flat =
        new FlatGraph(
            graph,
            tensors.stream().collect(Collectors.toMap(name -> name, name -> name + ":0")),
            Optional.empty());
    return MissingMasks.add(flat, part("s/out"), part("f/out"), functions, graph, Operations.ALL)
        .graphDef()
        .getNodeList()
        .stream()
        .collect(Collectors.toMap(NodeDef::getName, node -> node));
  }

  private static void assertRefused(String why, String... parts) {
    String message = assertThrows(NoMatchException.class, () -> add(List.of(), parts)).getMessage();
    assertTrue(message.contains(why), message);
  }

  @Test
  void trainingGetsTheMaskOfTheSignature() throws NoMatchException {
    Map<String, NodeDef> nodes = add(List.of(), SIGNATURE, INFERENCE, TRAINING);
    NodeDef sum = nodes.get(nodes.get("t/softmax").getInput(0));
    assertEquals("AddV2", sum.getOp());
    assertEquals("t/scores", sum.getInput(0));
    NodeDef cast = nodes.get(sum.getInput(1));
    assertEquals("Cast", cast.getOp());
    assertEquals("NotEqual", nodes.get(cast.getInput(0)).getOp());
    assertEquals("ids", nodes.get(cast.getInput(0)).getInput(0));
    assertEquals(
        List.of("t/softmax", "t/dropout/random"), nodes.get("t/dropout/Mul").getInputList());
    GraphDef before = Operations.graph(INPUT, SIGNATURE, INFERENCE, TRAINING);
    for (NodeDef node : before.getNodeList()) {
      if (!node.getName().equals("t/softmax")) {
        assertEquals(node, nodes.get(node.getName()));
      }
    }
  }

  @Test
  void aMaskThatIsAddedToAMaskIsFoundToo() throws NoMatchException {
    String scores =
        node("%s/causal", "GreaterEqual", "ids zero", "")
            + node("%s/condition", "Cast", "%s/mask", "")
            + node("%s/out", "Neg", "%s/condition", "");
    Map<String, NodeDef> nodes =
        add(
            List.of(),
            scores.replace("%s/mask", "s/and").replace("%s", "s"),
            node("s/NotEqual", "NotEqual", "ids zero", ""),
            node("s/and", "LogicalAnd", "s/NotEqual s/causal", ""),
            scores.replace("%s/mask", "f/causal").replace("%s", "f"),
            scores.replace("%s/mask", "t/causal").replace("%s", "t"));
    NodeDef and = nodes.get(nodes.get("t/condition").getInput(0));
    assertEquals("LogicalAnd", and.getOp());
    assertEquals("t/causal", and.getInput(1));
  }

  /** A step: counts, reads its mask, and takes the next state where that is true. */
  private static final String MASKED_STEP =
      function(
          "masked",
          List.of("INT32", "VARIANT", "FLOAT"),
          "next:z:0 a1 kept:output:0",
          node("next", "AddV2", "a0 a0", "T:INT32")
              + node("mask", "TensorListGetItem", "a1 a0 a0", "element_dtype:BOOL")
              + node("state", "Exp", "a2", "T:FLOAT")
              + node("kept", "SelectV2", "mask:item:0 state:y:0 a2", "T:FLOAT"));

  private static final String STEP =
      function(
          "step",
          List.of("INT32", "FLOAT"),
          "next:z:0 state:y:0",
          node("next", "AddV2", "a0 a0", "T:INT32") + node("state", "Exp", "a1", "T:FLOAT"));

  private static final String LIBRARY =
      MASKED_STEP
          + STEP
          + function(
              "masked_cond",
              List.of("INT32", "VARIANT", "FLOAT"),
              "less:z:0",
              node("less", "Less", "a0 a0", "T:INT32"))
          + function(
              "cond",
              List.of("INT32", "FLOAT"),
              "less:z:0",
              node("less", "Less", "a0 a0", "T:INT32"));

  /** The text of a function of arguments {@code a0, a1, ...}. */
  private static String function(String name, List<String> types, String results, String nodes) {
    StringBuilder text =
        new StringBuilder("library { function { signature { name: '" + name + "' ");
    for (int i = 0; i < types.size(); i++) {
      text.append("input_arg { name: 'a%d' type: DT_%s } ".formatted(i, types.get(i)));
    }
    String[] tensors = results.split(" ", -1);
    for (int i = 0; i < tensors.length; i++) {
      String type = tensors.length == 1 ? "BOOL" : types.get(i);
      text.append("output_arg { name: 'r%d' type: DT_%s } ".formatted(i, type));
    }
    text.append("} ").append(nodes.replace("node {", "node_def {"));
    for (int i = 0; i < tensors.length; i++) {
      text.append(" ret { key: 'r%d' value: '%s' }".formatted(i, tensors[i]));
    }
    return text.append(" } }\n").toString();
  }

  private static String loop(String name, String inputs, String condition, String body) {
    return node(name, "While", inputs, "")
        .replaceFirst(
            "}$",
            ("attr { key: 'cond' value { func { name: '%s' } } }"
                    + " attr { key: 'body' value { func { name: '%s' } } } }")
                .formatted(condition, body));
  }

  private static String masked(String name, String mask, String state) {
    return node(name + "/list", "TensorListFromTensor", mask + " zero", "element_dtype:BOOL")
        + loop(name, "zero " + name + "/list " + state, "masked_cond", "masked");
  }

  private static String unmasked(String name, String state) {
    return loop(name, "zero " + state, "cond", "step");
  }

  private static final String LOOPS =
      LIBRARY
          + node("s/x", "Exp", "ids", "")
          + node("s/NotEqual", "NotEqual", "ids zero", "")
          + masked("s/while", "s/NotEqual", "s/x")
          + node("s/out", "Neg", "s/while:2", "")
          + node("f/x", "Exp", "ids", "")
          + unmasked("f/while", "f/x")
          + node("f/out", "Neg", "f/while:1", "")
          + node("t/x", "Exp", "ids", "")
          + node("t/random", "RandomUniform", "t/x", "")
          + node("t/drop", "Mul", "t/x t/random", "")
          + unmasked("t/while", "t/drop")
          + node("t/out", "Neg", "t/while:1", "");

  private static NodeDef mask(Map<String, NodeDef> nodes, NodeDef loop) {
    return nodes.get(nodes.get(loop.getInput(1)).getInput(0));
  }

  @Test
  void trainingRunsTheLoopThatKnowsTheMask() throws NoMatchException {
    Map<String, NodeDef> nodes = add(List.of(), LOOPS);
    String result = nodes.get("t/out").getInput(0);
    NodeDef loop = nodes.get(Tensors.node(result));
    assertEquals(2, Tensors.index(result));
    assertEquals(List.of("zero", "t/drop"), List.of(loop.getInput(0), loop.getInput(2)));
    NodeDef mask = mask(nodes, loop);
    assertEquals("NotEqual", mask.getOp());
    assertEquals("ids", mask.getInput(0));
  }

  @Test
  void whatWaitsForALoopWaitsForTheOneThatKnowsTheMask() throws NoMatchException {
    Map<String, NodeDef> nodes =
        add(
            List.of(),
            LOOPS,
            node("t/copy", "Identity", "t/while:1", ""),
            node("t/end", "NoOp", "^t/while ^t/copy", ""));
    String loop = Tensors.node(nodes.get("t/out").getInput(0));
    assertEquals(List.of("^" + loop, "^t/copy"), nodes.get("t/end").getInputList());
    assertEquals(List.of(loop + ":2"), nodes.get("t/copy").getInputList());
  }

  @Test
  void loopsOfWhichAllResultsAreUsedAreReplaced() throws NoMatchException {
    String both =
        LOOPS
            .replaceAll(
                "node \\{ name: '(.)/out' op: 'Neg' input: '(.*?)' ", "$0 input: '$1/while' ")
            .replace("op: 'Neg'", "op: 'Sub'");
    Map<String, NodeDef> nodes = add(List.of(), both);
    NodeDef out = nodes.get("t/out");
    assertEquals(out.getInput(1) + ":2", out.getInput(0));
    assertEquals("NotEqual", mask(nodes, nodes.get(out.getInput(1))).getOp());
  }

  /** Two results of a loop, and between them one of a loop over another input. */
  private static MaskedMatch siblings(String second) {
    GraphDef graph =
        Operations.graph(
            LIBRARY,
            INPUT,
            node("others", "Placeholder", "", "dtype:FLOAT"),
            node("s/mask", "NotEqual", "ids zero", ""),
            node("s/x", "Exp", "ids", ""),
            node("s/y", "Exp", "others", ""),
            masked("s/first", "s/mask", "s/x"),
            masked("s/second", "s/mask", "s/y"),
            node("s/out", "AddN", "s/first:2 s/second:2 s/first", ""),
            node("f/a", "Placeholder", "", "dtype:FLOAT"),
            node("f/b", "Placeholder", "", "dtype:FLOAT"),
            node("f/x", "Exp", "f/a", ""),
            node("f/y", "Exp", second, ""),
            unmasked("f/first", "f/x"),
            unmasked("f/second", "f/y"),
            node("f/out", "AddN", "f/first:1 f/second:1 f/first", ""));
    return MaskedMatch.of(new GraphMatch(graph, graph, Operations.ALL), "s/out", "f/out", Map.of());
  }

  @Test
  void loopsTellWhichInputIsWhich() {
    MaskedMatch match = siblings("f/b");
    assertTrue(match.isSame());
    assertEquals(Map.of("f/a", "ids", "f/b", "others"), match.placeholders());
    assertFalse(siblings("f/a").isSame());
  }

  /** Two loops over two inputs; a third over the sum of their results, with the first's mask. */
  @Test
  void stackedLoopsGetTheirOwnMasks() throws NoMatchException {
    String computed =
        node("%/x", "Exp", "ids", "")
            + node("%/y", "Exp", "others", "")
            + node("%/sum", "AddV2", "%/first:@ %/second:@", "")
            + node("%/out", "Neg", "%/third:@", "");
    String plain =
        computed.replace("@", "1")
            + unmasked("%/first", "%/x")
            + unmasked("%/second", "%/y")
            + unmasked("%/third", "%/sum");
    Map<String, NodeDef> nodes =
        add(
            List.of(),
            LIBRARY,
            node("others", "Placeholder", "", "dtype:FLOAT"),
            node("s/mask", "NotEqual", "ids zero", ""),
            node("s/other", "NotEqual", "others zero", ""),
            computed.replace("@", "2").replace("%", "s"),
            masked("s/first", "s/mask", "s/x"),
            masked("s/second", "s/other", "s/y"),
            masked("s/third", "s/mask", "s/sum"),
            plain.replace("%", "f"),
            plain.replace("%", "t"));
    NodeDef third = nodes.get(Tensors.node(nodes.get("t/out").getInput(0)));
    NodeDef sum = nodes.get(third.getInput(2));
    assertEquals("t/sum", sum.getName());
    NodeDef first = nodes.get(Tensors.node(sum.getInput(0)));
    NodeDef second = nodes.get(Tensors.node(sum.getInput(1)));
    assertEquals("ids", mask(nodes, third).getInput(0));
    assertEquals("ids", mask(nodes, first).getInput(0));
    assertEquals("others", mask(nodes, second).getInput(0));
    assertEquals(List.of("t/x", "t/y"), List.of(first.getInput(2), second.getInput(2)));
  }

  @Test
  void aLoopThatDoesSomethingElseIsAnotherLoop() {
    assertRefused(
        "differ otherwise", LOOPS.replace(MASKED_STEP, MASKED_STEP.replace("'Exp'", "'Sqrt'")));
    assertRefused(
        "differ otherwise",
        LOOPS.replace("input: 'state:y:0' input: 'a2'", "input: 'a2' input: 'state:y:0'"));
    assertRefused("differ otherwise", LOOPS.replaceFirst("'Less'", "'Greater'"));
    assertRefused(
        "differ otherwise", LOOPS.replace("'r1' value: 'a1'", "'r1' value: 'mask:item:0'"));
  }

  @Test
  void whatIsNoMaskIsNotAdded() {
    String variable =
        node("variable", "VarHandleOp", "", "dtype:FLOAT")
            + node("s/read", "ReadVariableOp", "variable", "dtype:FLOAT");
    assertRefused(
        "differ otherwise",
        SIGNATURE.replace("input: 's/Cast'", "input: 's/read'"),
        variable,
        INFERENCE,
        TRAINING);
    assertRefused(
        "differ otherwise",
        SIGNATURE.replace("input: 's/Cast'", "input: 'zero'"),
        INFERENCE,
        TRAINING);
    assertRefused("differ otherwise", SIGNATURE.replace("SrcT", "DstT"), INFERENCE, TRAINING);
  }

  @Test
  void inferenceAndTrainingBothGetTheMask() throws NoMatchException {
    Map<String, NodeDef> nodes =
        completed(List.of(part("f/out"), part("t/out")), List.of(), SIGNATURE, INFERENCE, TRAINING);
    for (String function : List.of("f", "t")) {
      NodeDef sum = nodes.get(nodes.get(function + "/softmax").getInput(0));
      assertEquals(function + "/scores", sum.getInput(0));
      assertEquals("NotEqual", nodes.get(nodes.get(sum.getInput(1)).getInput(0)).getOp());
    }
  }

  @Test
  void aMaskThatABranchDecidesIsRefused() {
    String branch = SIGNATURE.replace("'NotEqual'", "'StatelessIf'") + "library { }";
    String named =
        branch.replace(
            "op: 'StatelessIf'",
            "op: 'StatelessIf' attr { key: 'then_branch' value { func { name: 'any' } } }");
    assertRefused("what they are computed from", named, INFERENCE, TRAINING);
  }

  @Test
  void anotherVariableOfTheLoopIsAnotherResult() {
    assertRefused("differ otherwise", LOOPS.replace("'s/while:2'", "'s/while'"));
  }

  @Test
  void aLoopThatDrawsNumbersInTrainingIsNotReplaced() {
    String drawing =
        LOOPS.replace(
            "input: 'zero' input: 't/drop'", "input: 'zero' input: 't/drop' input: 'zero'");
    assertRefused("where they belong", drawing);
  }

  @Test
  void aMaskOfWhatTrainingDropsIsNotGuessed() {
    String dropped =
        TRAINING.replace(
                "'t/scores' op: 'Exp' input: 'ids'", "'t/scores' op: 'Exp' input: 't/drop'")
            + node("t/drop", "Mul", "ids zero", "");
    assertRefused("not the same in training", SIGNATURE, INFERENCE, dropped);
  }

  @Test
  void scoresThatSomethingElseUsesAreNotMasked() {
    String other =
        TRAINING.replace("'Neg' input: 't/dropout/Mul'", "'Neg' input: 't/other'")
            + node("t/other", "Sub", "t/dropout/Mul t/scores", "");
    assertRefused("used otherwise", SIGNATURE, INFERENCE, other);
  }

  @Test
  void aLossOfScoresMayNeedTheMaskOrNot() {
    assertThrows(
        NoMatchException.class, () -> add(List.of("t/scores"), SIGNATURE, INFERENCE, TRAINING));
  }

  @Test
  void whatIsDroppedBeforeTheMaskIsNotMasked() {
    String dropped =
        TRAINING.replace("'Softmax' input: 't/scores'", "'Softmax' input: 't/drop'")
            + node("t/drop", "Mul", "t/scores zero", "");
    assertRefused("used otherwise", SIGNATURE, INFERENCE, dropped);
  }

  @Test
  void aMaskThatAVariableDecidesIsNone() {
    String learned = SIGNATURE.replace("'ids' input: 'zero'", "'ids' input: 's/read'") + READ;
    assertRefused("differ otherwise", learned, INFERENCE, TRAINING);
  }

  @Test
  void aMaskOfWhatAVariableThatTrainingAssignsGivesIsRefused() {
    String learned =
        SIGNATURE.replace("'ids' input: 'zero'", "'s/read' input: 'zero'")
            + READ
            + node("t/assign", "AssignVariableOp", "variable t/out", "dtype:FLOAT");
    assertRefused("what they are computed from", learned, INFERENCE, TRAINING);
  }

  @Test
  void otherDifferencesAreNone() {
    assertRefused(
        "differ otherwise", SIGNATURE.replace("'Softmax'", "'Sqrt'"), INFERENCE, TRAINING);
    assertRefused("differ otherwise", SIGNATURE.replace("'Exp'", "'Sqrt'"), INFERENCE, TRAINING);
  }

  @Test
  void aMaskOfWhatTrainingComputesInAnotherWayIsRefused() {
    assertRefused(
        "where they belong", SIGNATURE, INFERENCE, TRAINING.replace("t/scores", "t/others"));
  }
}
