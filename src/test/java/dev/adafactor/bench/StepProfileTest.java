package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.AllocationRecord;
import org.tensorflow.proto.AllocatorMemoryUsed;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TFloat32;

class StepProfileTest {
  private static final int ELEMENTS = 1 << 20;
  private static final long BYTES = 4L * ELEMENTS;

  /** Scalars, and what a kernel needs for itself. */
  private static final long SLACK = 1 << 14;

  private static NodeExecStats node(String label, long startMicros, long endMicros, long... pairs) {
    AllocatorMemoryUsed.Builder memory = AllocatorMemoryUsed.newBuilder();
    long total = 0;
    for (int i = 0; i < pairs.length; i += 2) {
      memory.addAllocationRecords(
          AllocationRecord.newBuilder().setAllocMicros(pairs[i]).setAllocBytes(pairs[i + 1]));
      total += Math.max(0, pairs[i + 1]);
    }
    return NodeExecStats.newBuilder()
        .setNodeName(label.substring(0, label.indexOf(' ')))
        .setTimelineLabel(label)
        .setOpStartRelMicros(startMicros)
        .setOpEndRelMicros(endMicros)
        .addMemory(memory.setTotalBytes(total))
        .build();
  }

  private static StepProfile profile(NodeExecStats... nodes) {
    return StepProfile.of(
        StepStats.newBuilder()
            .addDevStats(DeviceStepStats.newBuilder().addAllNodeStats(List.of(nodes)))
            .build());
  }

  @Test
  void addsUpWhatIsHeldAtOnce() {
    StepProfile profile =
        profile(
            node("a = Square(x)", 0, 4, 10, 100, 30, -100),
            node("b = Square(x)", 0, 3, 20, 50, 40, -50),
            node("c = Mul(a, b)", 0, 9, 30, 70, 50, -70));
    // In microsecond 30 what is taken is held beside what is given back.
    assertEquals(220, profile.peakBytes());
  }

  @Test
  void countsEachKindOfOperation() {
    StepProfile profile =
        profile(
            node("a = Square(x)", 0, 2000, 10, 100),
            node("b = Square(x)", 1000, 2500, 20, 50),
            node("scope/c = Mul(a, b = 3)", 0, 9000),
            node("d = PartitionedCall(c)", 0, 1));
    assertEquals(
        List.of(
            new StepProfile.Kind("Mul", 1, 9, 0),
            new StepProfile.Kind("Square", 2, 3.5, 150),
            new StepProfile.Kind("PartitionedCall", 1, 0.001, 0)),
        profile.operations());
  }

  @Test
  void seesOneTensorOfAChainThatGivesBackAsItGoes() {
    // The square is the only one that needs memory: what follows takes it over.
    assertPeak(
        BYTES, (tf, x) -> tf.nn.l2Loss(tf.math.sqrt(tf.math.add(tf.math.square(x), one(tf)))));
  }

  @Test
  void seesTwoTensorsThatAreNeededAtOnce() {
    assertPeak(2 * BYTES, (tf, x) -> tf.nn.l2Loss(tf.math.mul(tf.math.square(x), tf.math.sin(x))));
  }

  @Test
  void seesNothingOfTheVariableItself() {
    assertPeak(0, (tf, x) -> tf.nn.l2Loss(x));
  }

  private static Operand<TFloat32> one(Ops tf) {
    return tf.constant(1f);
  }

  private static void assertPeak(
      long bytes, BiFunction<Ops, Operand<TFloat32>, Operand<TFloat32>> chain) {
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      Ops tf = Ops.create(graph);
      Variable<TFloat32> variable = tf.variable(Shape.of(ELEMENTS), TFloat32.class);
      session.run(tf.assign(variable, tf.fill(tf.constant(new int[] {ELEMENTS}), one(tf))));
      Operand<TFloat32> last = chain.apply(tf, tf.identity(variable));
      RunOptions trace =
          RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.SOFTWARE_TRACE).build();
      try (Result result =
          session.runner().addTarget(last).setOptions(trace).runAndFetchMetadata()) {
        long peak = StepProfile.of(result.getMetadata().orElseThrow().getStepStats()).peakBytes();
        assertTrue(bytes <= peak && peak <= bytes + SLACK, () -> peak + " bytes");
      }
    }
  }
}
