package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.TextFormat;
import dev.adafactor.savedmodel.VariableTwins.Pair;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.MetaGraphDef;

class VariableTwinsTest {
  /** The call passes w to f; the saver saves w as the variable b.0/w and w_1 as the variable a. */
  private static final String MODEL =
      """
      saver_def { save_tensor_name: "save:0" }
      graph_def {
        node { name: "w" op: "VarHandleOp" }
        node { name: "w_1" op: "VarHandleOp" }
        node { name: "call" op: "StatefulPartitionedCall" input: ["x", "w", "^x"]
               attr { key: "f" value { func { name: "f" } } } }
        node { name: "save" op: "StatefulPartitionedCall" input: ["file", "w_1", "w"]
               attr { key: "f" value { func { name: "s" } } } }
        library { function {
          signature { name: "s" input_arg { name: "file" } input_arg { name: "first" }
                      input_arg { name: "second" } }
          node_def { name: "keys" op: "Const" attr { key: "value" value { tensor {
            string_val: ["a/.ATTRIBUTES/VARIABLE_VALUE", "b..0.Sw/.ATTRIBUTES/VARIABLE_VALUE",
                         "_CHECKPOINTABLE_OBJECT_GRAPH"] } } } }
          node_def { name: "read" op: "ReadVariableOp" input: ["first", "^file"] }
          node_def { name: "copy" op: "Identity" input: "read:value:0" }
          node_def { name: "other" op: "ReadVariableOp" input: "second" }
          node_def { name: "graph" op: "Const" }
          node_def { name: "write" op: "SaveV2"
                     input: ["file", "keys:output:0", "slices", "copy:output:0", "other:value:0",
                             "graph:output:0"] } } } }
      """;

  private static Set<Pair> pairs(String model, int bound) throws TextFormat.ParseException {
    String objects =
        """
        object_graph_def {
          nodes { user_object {} children { local_name: "a" node_id: 1 }
                  children { local_name: "b.0/w" node_id: 2 } }
          nodes { variable { name: "w" } }
          nodes { variable { name: "w" } }
          concrete_functions { key: "f" value { bound_inputs: %d } } }
        """
            .formatted(bound);
    return VariableTwins.of(TextFormat.parse(model + objects, MetaGraphDef.class)).pairs();
  }

  @Test
  void aFunctionThatTakesAnotherVariableThanTheObjectGraphSaysMakesAPair() throws Exception {
    assertEquals(Set.of(new Pair("w", "w_1")), pairs(MODEL, 1));
  }

  @Test
  void aFunctionThatTakesTheVariableOfTheObjectGraphMakesNone() throws Exception {
    assertEquals(Set.of(), pairs(MODEL, 2));
  }

  @Test
  void damagedModelsMakeNone() throws Exception {
    assertEquals(Set.of(), pairs(MODEL, 7));
    assertEquals(Set.of(), pairs(MODEL.replace("save:0", "gone"), 1));
    assertEquals(Set.of(), pairs(MODEL.replace("\"keys\"", "\"lost\""), 1));
    assertEquals(Set.of(), pairs(MODEL.replace("[\"first\", \"^file\"]", "\"read\""), 1));
    assertEquals(Set.of(), pairs(MODEL.replace("\"slices\", ", ""), 2));
    assertEquals(Set.of(), pairs(MODEL.replace("key: \"value\"", "key: \"other\""), 1));
    assertEquals(Set.of(), pairs(MODEL.replace("\"first\" }", "\"renamed\" }"), 1));
  }
}
