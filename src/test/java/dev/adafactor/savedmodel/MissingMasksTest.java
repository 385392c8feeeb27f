package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
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

  /** Scores that a mask of the ids is added to, their softmax, and its negative. */
  private static final String SIGNATURE =
      node("s/scores", "Exp", "ids", "")
          + node("s/NotEqual", "NotEqual", "ids zero", "")
          + node("s/Cast", "Cast", "s/NotEqual", "")
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
    GraphDef graph = Operations.graph(INPUT, String.join("\n", parts));
    List<String> tensors = new ArrayList<>(List.of("s/out", "f/out", "t/out"));
    tensors.addAll(losses);
    FlatGraph flat =
        new FlatGraph(
            graph,
            tensors.stream().collect(Collectors.toMap(name -> name, name -> name + ":0")),
            Optional.empty());
    return MissingMasks.add(
            flat,
            part("s/out"),
            part("f/out"),
            List.of(part("t/out", losses.toArray(String[]::new))),
            graph,
            Operations.ALL)
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

  private static final String LOOPS =
      node("s/x", "Exp", "ids", "")
          + node("s/NotEqual", "NotEqual", "ids zero", "")
          + node("s/while", "While", "zero s/NotEqual s/x", "")
          + node("s/out", "Neg", "s/while:2", "")
          + node("f/x", "Exp", "ids", "")
          + node("f/while", "While", "zero f/x", "")
          + node("f/out", "Neg", "f/while:1", "")
          + node("t/x", "Exp", "ids", "")
          + node("t/random", "RandomUniform", "t/x", "")
          + node("t/drop", "Mul", "t/x t/random", "")
          + node("t/while", "While", "zero t/drop", "")
          + node("t/out", "Neg", "t/while:1", "");

  @Test
  void trainingRunsTheLoopThatKnowsTheMask() throws NoMatchException {
    Map<String, NodeDef> nodes = add(List.of(), LOOPS);
    String result = nodes.get("t/out").getInput(0);
    NodeDef loop = nodes.get(Tensors.node(result));
    assertEquals(2, Tensors.index(result));
    assertEquals(List.of("zero", "t/drop"), List.of(loop.getInput(0), loop.getInput(2)));
    NodeDef mask = nodes.get(loop.getInput(1));
    assertEquals("NotEqual", mask.getOp());
    assertEquals("ids", mask.getInput(0));
  }

  @Test
  void anotherVariableOfTheLoopIsAnotherResult() {
    assertRefused("differ otherwise", LOOPS.replace("'s/while:2'", "'s/while:1'"));
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
  void aMaskThatAVariableOfTrainingDecidesIsRefused() {
    String learned =
        SIGNATURE.replace("'ids' input: 'zero'", "'ids' input: 's/read'")
            + node("variable", "VarHandleOp", "", "dtype:FLOAT")
            + node("s/read", "ReadVariableOp", "variable", "dtype:FLOAT")
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
