package dev.adafactor.graph;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.StepStats;

/**
 * What of a run XLA has compiled.
 *
 * @param calls the calls of {@link CompiledFunction}s that ran
 * @param programs how many programs they are of: one for each function and device, however many
 *     variables share it. A session compiles each when it first runs, and never again.
 */
public record CompiledCalls(int calls, int programs) {

  private record Program(String function, String device) {}

  /**
   * Counts them.
   *
   * @param graph that ran
   * @param stats of one run with a full trace
   */
  public static CompiledCalls of(Graph graph, StepStats stats) {
    int calls = 0;
    Set<Program> programs = new HashSet<>();
    for (DeviceStepStats device : stats.getDevStatsList()) {
      // A GPU has several lists: of its operations, and of what its streams do.
      for (String name : names(device)) {
        GraphOperation op = graph.operation(name);
        if (op != null && op.type().equals(CompiledFunction.CALL)) {
          calls++;
          String function =
              op.attributes().getAttrValueProto(CompiledFunction.FUNCTION).getFunc().getName();
          programs.add(new Program(function, device.getDevice()));
        }
      }
    }
    return new CompiledCalls(calls, programs.size());
  }

  private static List<String> names(DeviceStepStats device) {
    return device.getNodeStatsList().stream().map(NodeExecStats::getNodeName).distinct().toList();
  }
}
