package dev.adafactor.bench;

import java.util.HashMap;
import java.util.Map;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/** The longest way through a graph, counted in steps from device to device. */
final class TransferChain {
  private record Place(String device, int transfers) {}

  private TransferChain() {}

  /**
   * How often what comes before an operation goes from device to device, one after the other.
   *
   * @param graph without loops, each operation behind its inputs
   * @param last the name of the operation
   * @param anywhere the device of operations that name none
   */
  static int before(GraphDef graph, String last, String anywhere) {
    Map<String, Place> places = new HashMap<>();
    for (NodeDef node : graph.getNodeList()) {
      String device = node.getDevice().isEmpty() ? anywhere : node.getDevice();
      int transfers = 0;
      for (String input : node.getInputList()) {
        Place before = places.get(input.replaceFirst("^\\^", "").replaceFirst(":\\d+$", ""));
        transfers =
            Math.max(transfers, before.transfers() + (before.device().equals(device) ? 0 : 1));
      }
      places.put(node.getName(), new Place(device, transfers));
    }
    return places.get(last).transfers();
  }
}
