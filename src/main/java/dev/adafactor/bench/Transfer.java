package dev.adafactor.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.NodeOutput;
import org.tensorflow.proto.RunMetadata;
import org.tensorflow.proto.StepStats;
import org.tensorflow.proto.TensorDescription;
import org.tensorflow.proto.TensorShapeProto;

/**
 * What a device has sent another in a step, as TensorFlow recorded it.
 *
 * @param from the sender, as {@code /device:CPU:0}
 * @param to the receiver
 * @param bytes of the tensor; 0 for a signal that something is done
 */
record Transfer(String from, String to, long bytes) {

  private static final Pattern PROCESS = Pattern.compile("^/job:localhost/replica:0/task:0");

  /**
   * A tensor that an operation has made.
   *
   * @param source the operation's name, and which of its outputs, as inputs are written
   */
  private record Made(String device, String source) {}

  /**
   * Reads a record. Each device's part of the graph has operations that send, but no record says
   * what they took: the operations before them have one of what they gave.
   *
   * @param step of a run that was traced, with the parts of the graph
   */
  static List<Transfer> of(RunMetadata step) {
    Map<Made, TensorDescription> made = made(step.getStepStats());
    List<Transfer> transfers = new ArrayList<>();
    for (GraphDef part : step.getPartitionGraphsList()) {
      for (NodeDef node : part.getNodeList()) {
        if (node.getOp().equals("_Send") || node.getOp().equals("_HostSend")) {
          String from = attribute(node, "send_device");
          Made sent = new Made(from, node.getInput(0));
          TensorDescription tensor = made.get(sent);
          if (tensor == null) {
            throw new IllegalStateException("TensorFlow has no record of " + sent);
          }
          transfers.add(
              new Transfer(
                  inProcess(from), inProcess(attribute(node, "recv_device")), bytes(tensor)));
        }
      }
    }
    return transfers;
  }

  private static Map<Made, TensorDescription> made(StepStats stats) {
    Map<Made, TensorDescription> made = new HashMap<>();
    for (DeviceStepStats device : stats.getDevStatsList()) {
      for (NodeExecStats node : device.getNodeStatsList()) {
        for (NodeOutput output : node.getOutputList()) {
          String slot = output.getSlot() == 0 ? "" : ":" + output.getSlot();
          made.put(
              new Made(device.getDevice(), node.getNodeName() + slot),
              output.getTensorDescription());
        }
      }
    }
    return made;
  }

  private static String attribute(NodeDef node, String name) {
    return node.getAttrOrThrow(name).getS().toStringUtf8();
  }

  private static String inProcess(String device) {
    return PROCESS.matcher(device).replaceFirst("");
  }

  private static long bytes(TensorDescription tensor) {
    return tensor.getShape().getDimList().stream()
            .mapToLong(TensorShapeProto.Dim::getSize)
            .reduce(1, Math::multiplyExact)
        * GraphSize.width(tensor.getDtype());
  }
}
