package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.NodeDef;

class DevicePlacementTest {
  private static final String DEVICE = "/device:CPU:1";

  private static final String TABLE =
      """
      node { name: 'table' op: 'HashTableV2'
             attr { key: 'key_dtype' value { type: DT_STRING } }
             attr { key: 'value_dtype' value { type: DT_INT64 } }
             attr { key: 'shared_name' value { s: 'words' } } }
      """;

  private static final String VARIABLE =
      """
      node { name: 'w' op: 'VarHandleOp' device: '/device:CPU:0'
             attr { key: 'dtype' value { type: DT_FLOAT } }
             attr { key: 'shared_name' value { s: 'w' } } }
      """;

  private static Map<String, String> devices(String... parts) {
    FlatGraph flat = new FlatGraph(Operations.graph(parts), Map.of(), Optional.empty());
    Map<String, String> devices = new HashMap<>();
    for (NodeDef node : DevicePlacement.on(DEVICE, flat, Operations.ALL).graphDef().getNodeList()) {
      devices.put(node.getName(), node.getDevice());
    }
    return devices;
  }

  @Test
  void variablesMoveWithWhatReadsThem() {
    assertEquals(
        Map.of("w", DEVICE, "read", DEVICE, "y", DEVICE),
        devices(
            VARIABLE,
            node("read", "ReadVariableOp", "w", "dtype:FLOAT"),
            node("y", "Tanh", "read", "T:FLOAT")));
  }

  @Test
  void tablesStayWithWhatReadsThem() {
    assertEquals(
        Map.of("table", "", "handle", "", "x", DEVICE, "none", DEVICE, "found", "", "y", DEVICE),
        devices(
            node("found", "LookupTableFindV2", "handle x none", "Tin:STRING Tout:INT64"),
            node("handle", "Identity", "table", "T:RESOURCE"),
            TABLE,
            node("x", "Placeholder", "", "dtype:STRING"),
            node("none", "Placeholder", "", "dtype:INT64"),
            node("y", "Cast", "found ^table", "SrcT:INT64 DstT:FLOAT")));
  }

  @Test
  void colocationGivesWay() {
    FlatGraph flat =
        new FlatGraph(
            Operations.graph(
                """
                node { name: 'y' op: 'NoOp'
                       attr { key: '_class' value { list { s: 'loc:@table' } } } }
                """),
            Map.of(),
            Optional.empty());
    NodeDef placed = DevicePlacement.on(DEVICE, flat, Operations.ALL).graphDef().getNode(0);
    assertEquals(0, placed.getAttrCount());
  }

  @Test
  void oneThatTakesBothIsRefused() {
    String loop =
        """
        node { name: 'loop' op: 'While' input: ['table', 'w']
               attr { key: 'T' value { list { type: [DT_RESOURCE, DT_RESOURCE] } } } }
        """;
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> devices(TABLE, VARIABLE, loop));
    assertTrue(
        e.getMessage().contains("'loop' works with a table and with variables"), e::getMessage);
  }
}
