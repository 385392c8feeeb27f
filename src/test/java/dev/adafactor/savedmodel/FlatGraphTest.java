package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.NodeDef;

class FlatGraphTest {
  @Test
  void whatIsNeededIsKeptWhateverItsName() {
    FlatGraph flat =
        new FlatGraph(
            Operations.graph(
                node("x", "Placeholder", "", "dtype:FLOAT"),
                node("inference/kernel", "VarHandleOp", "", "dtype:FLOAT"),
                node("read", "ReadVariableOp", "inference/kernel ^inference/first", ""),
                node("inference/first", "NoOp", "", ""),
                node("inference/y", "Mul", "x read", ""),
                node("z", "Neg", "inference/y", "")),
            Map.of("y", "inference/y", "z", "z"),
            Optional.empty());
    FlatGraph pruned = flat.pruned(List.of("y"));
    assertEquals(Map.of("y", "inference/y"), pruned.tensors());
    assertEquals(
        List.of("x", "inference/kernel", "read", "inference/first", "inference/y"),
        pruned.graphDef().getNodeList().stream().map(NodeDef::getName).toList());
  }
}
