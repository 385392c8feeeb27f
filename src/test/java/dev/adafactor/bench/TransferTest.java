package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.mesh.Mesh;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Split;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.RunMetadata;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.types.TFloat64;

class TransferTest {
  private static final Mesh DEVICES = Mesh.virtualCpus("x=3");
  private static final String FIRST = "/device:CPU:0";
  private static final String SECOND = "/device:CPU:1";
  private static final String THIRD = "/device:CPU:2";

  /** One half of a variable goes to two devices, the other half and a signal to one of them. */
  private static RunMetadata step() {
    RunOptions options =
        RunOptions.newBuilder()
            .setTraceLevel(RunOptions.TraceLevel.SOFTWARE_TRACE)
            .setOutputPartitionGraphs(true)
            .build();
    try (Graph graph = new Graph();
        Session session = new Session(graph, DEVICES.config())) {
      Ops tf = Ops.create(graph);
      Ops first = tf.withDevice(DEVICES.device(0));
      Ops second = tf.withDevice(DEVICES.device(1));
      Ops third = tf.withDevice(DEVICES.device(2));
      Variable<TFloat64> variable = first.variable(Shape.of(10, 6), TFloat64.class);
      session.run(
          first.assign(variable, first.zeros(first.constant(new int[] {10, 6}), TFloat64.class)));
      Split<TFloat64> halves = first.split(first.constant(0), variable, 2L);
      Variable<TFloat64> half = second.variable(Shape.of(5, 6), TFloat64.class);
      Op kept = second.assign(half, halves.output().get(0));
      Operand<TFloat64> both =
          third
              .withControlDependencies(List.of(kept))
              .math
              .add(halves.output().get(0), third.math.cos(halves.output().get(1)));
      try (Result result =
          session.runner().addTarget(both).setOptions(options).runAndFetchMetadata()) {
        return result.getMetadata().orElseThrow();
      }
    }
  }

  @Test
  void isWhatWasSent() {
    List<Transfer> transfers = Transfer.of(step());
    long half = 5 * 6 * 8;
    assertEquals(
        Set.of(
            new Transfer(FIRST, SECOND, half),
            new Transfer(FIRST, THIRD, half),
            new Transfer(SECOND, THIRD, 0)),
        Set.copyOf(transfers));
    assertEquals(4, transfers.size(), transfers.toString());
  }

  @Test
  void missesNoRecord() {
    RunMetadata without = step().toBuilder().clearStepStats().build();
    String message =
        assertThrows(IllegalStateException.class, () -> Transfer.of(without)).getMessage();
    assertTrue(message.startsWith("TensorFlow has no record of "), message);
  }
}
