package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.TextFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.MetaGraphDef;

class SavedVariablesTest {
  private static final String GRAPH =
      """
      graph_def {
        node { name: "w" op: "VarHandleOp" }
        node { name: "w_1" op: "VarHandleOp" }
        node { name: "table" op: "HashTableV2" }
        node { name: "x" op: "Placeholder" }
        node { name: "call" op: "StatefulPartitionedCall" input: ["x", "w_1", "table", "w", "^x"]
               attr { key: "f" value { func { name: "f" } } } } }
      """;

  private static List<String> variables(String objects) throws TextFormat.ParseException {
    MetaGraphDef metaGraph = TextFormat.parse(GRAPH + objects, MetaGraphDef.class);
    return SavedVariables.of(metaGraph).entrySet().stream()
        .map(e -> e.getKey() + "=" + e.getValue().getName() + e.getValue().getTrainable())
        .toList();
  }

  @Test
  void boundInputsTellVariablesOfTheSameNameApart() throws Exception {
    assertEquals(
        List.of("w_1=wtrue", "w=wfalse"),
        variables(
            """
            object_graph_def {
              nodes { user_object {} }
              nodes { variable { name: "w" trainable: true } }
              nodes { resource {} }
              nodes { variable { name: "w" } }
              concrete_functions { key: "f" value { bound_inputs: [1, 2, 3] } } }
            """));
  }

  @Test
  void orderIsThatOfTheRootsVariables() throws Exception {
    assertEquals(
        List.of("w=bfalse", "w_1=afalse"),
        variables(
            """
            object_graph_def {
              nodes { user_object {} children { local_name: "variables" node_id: 4 } }
              nodes { variable { name: "a" } }
              nodes { resource {} }
              nodes { variable { name: "b" } }
              nodes { user_object {} children { local_name: "10" node_id: 1 }
                      children { local_name: "9" node_id: 3 } }
              concrete_functions { key: "f" value { bound_inputs: [1, 2, 3] } } }
            """));
  }

  @Test
  void damagedObjectGraphsGiveNoVariables() throws Exception {
    assertEquals(List.of(), variables(""));
    assertEquals(
        List.of(),
        variables(
            """
            object_graph_def {
              nodes { user_object {} children { local_name: "variables" node_id: 99 } }
              concrete_functions { key: "f" value { bound_inputs: [7, -1, 0, 0, 0, 0, 99] } } }
            """));
  }
}
