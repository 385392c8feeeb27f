package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Set;
import org.junit.jupiter.api.Test;

class VariableWritesTest {
  @Test
  void areNoReads() {
    assertEquals(
        Set.of("assigned", "moved", "scattered"),
        VariableWrites.of(
            Operations.graph(
                node("read", "ReadVariableOp", "a", ""),
                node("rows", "ResourceGather", "b read", ""),
                node("points", "ResourceGatherNd", "c read", ""),
                node("assign", "AssignVariableOp", "assigned read", ""),
                node("move", "AssignSubVariableOp", "moved read", ""),
                node("scatter", "ResourceScatterUpdate", "scattered rows read", ""))));
  }
}
