package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.proto.AttrValue;

class OperationAttributesTest {

  @Test
  void findsWhatAnOperationHas() {
    try (Graph graph = new Graph()) {
      GraphOperation op =
          graph
              .opBuilder("NoOp", "op", graph.baseScope())
              .setAttr("_text", "é")
              .setAttr("_empty", "")
              .setAttr("_number", 3L)
              .build();
      assertEquals(Optional.of("é"), OperationAttributes.text(op, "_text"));
      assertEquals(Optional.of(""), OperationAttributes.text(op, "_empty"));
      assertEquals(Optional.empty(), OperationAttributes.text(op, "_number"));
      assertEquals(Optional.of(3L), OperationAttributes.find(op, "_number").map(AttrValue::getI));
      assertEquals(Optional.empty(), OperationAttributes.find(op, "_other"));
      assertEquals(Optional.empty(), OperationAttributes.find(op, ""));
    }
  }
}
