package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.mesh.Mesh;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

class TransferChainTest {
  private static final Mesh DEVICES = Mesh.virtualCpus("x=3");

  @Test
  void countsTheLongestWay() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Ops first = tf.withDevice(DEVICES.device(0));
      Ops second = tf.withDevice(DEVICES.device(1));
      Ops third = tf.withDevice(DEVICES.device(2));
      Operand<TFloat32> x = first.constant(2f);
      Operand<TFloat32> near = second.math.square(second.math.exp(x));
      Operand<TFloat32> far = first.math.add(third.math.square(near), x);
      Op signalled = third.withControlDependencies(List.of(far)).noOp();
      Op anywhere = tf.withControlDependencies(List.of(far)).noOp();
      assertEquals(0, chain(graph, x.op().name()));
      assertEquals(1, chain(graph, near.op().name()));
      assertEquals(3, chain(graph, far.op().name()));
      assertEquals(4, chain(graph, signalled.op().name()));
      assertEquals(3, chain(graph, anywhere.op().name()));
    }
  }

  private static int chain(Graph graph, String last) {
    return TransferChain.before(graph.toGraphDef(), last, DEVICES.devices().get(0));
  }
}
