package dev.adafactor.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tensorflow.proto.AllocationRecord;
import org.tensorflow.proto.AllocatorMemoryUsed;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.StepStats;

/**
 * What TensorFlow recorded of a step.
 *
 * @param peakBytes the most that the step's operations held at once of what they allocated
 * @param operations what was run, the kind that took longest first
 */
public record StepProfile(long peakBytes, List<Kind> operations) {
  /** As in {@code name = Type(inputs)}. */
  private static final Pattern LABEL = Pattern.compile("^.* = (\\w+)\\(.*", Pattern.DOTALL);

  /**
   * All operations of a kind.
   *
   * @param type of the operations, as {@code MatMul}
   * @param count how many were run
   * @param millis of all of them together; several run at the same time
   * @param allocatedBytes by all of them together
   */
  public record Kind(String type, int count, double millis, long allocatedBytes) {
    private Kind plus(Kind other) {
      return new Kind(
          type, count + other.count, millis + other.millis, allocatedBytes + other.allocatedBytes);
    }
  }

  private record Change(long micros, long bytes) {}

  static StepProfile of(StepStats stats) {
    List<Change> changes = new ArrayList<>();
    Map<String, Kind> kinds = new HashMap<>();
    for (DeviceStepStats device : stats.getDevStatsList()) {
      for (NodeExecStats node : device.getNodeStatsList()) {
        long allocated = 0;
        for (AllocatorMemoryUsed memory : node.getMemoryList()) {
          allocated += memory.getTotalBytes();
          for (AllocationRecord record : memory.getAllocationRecordsList()) {
            changes.add(new Change(record.getAllocMicros(), record.getAllocBytes()));
          }
        }
        double millis = node.getOpEndRelMicros() / 1e3 - node.getOpStartRelMicros() / 1e3;
        String type = type(node);
        kinds.merge(type, new Kind(type, 1, millis, allocated), Kind::plus);
      }
    }
    return new StepProfile(
        peak(changes),
        kinds.values().stream()
            .sorted(Comparator.comparingDouble(Kind::millis).reversed())
            .toList());
  }

  private static String type(NodeExecStats node) {
    Matcher label = LABEL.matcher(node.getTimelineLabel());
    return label.matches() ? label.group(1) : node.getNodeName();
  }

  /** Within a microsecond, what is taken counts before what is given back. */
  private static long peak(List<Change> changes) {
    changes.sort(
        Comparator.comparingLong(Change::micros)
            .thenComparing(Comparator.comparingLong(Change::bytes).reversed()));
    long held = 0;
    long peak = 0;
    for (Change change : changes) {
      held += change.bytes();
      peak = Math.max(peak, held);
    }
    return peak;
  }
}
