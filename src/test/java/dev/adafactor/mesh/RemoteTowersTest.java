package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.OwnNetwork;
import dev.adafactor.VariableKind;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.tensorflow.proto.ConfigProto;

/** Parts of a batch that other processes compute with. */
@ExtendWith(OwnNetwork.class)
class RemoteTowersTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final int STEPS = 4;

  private static final List<String> PROCESSES =
      List.of("/job:worker/task:0/device:CPU:0", "/job:worker/task:1/device:CPU:0");

  private static TowerTraining training(
      VariableKind kind, boolean sparse, WorkerProcesses workers, TowerTraining.Losses losses) {
    return new TowerTraining(
        kind,
        sparse,
        -1,
        Mesh.parse("x=2", PROCESSES),
        losses,
        graph ->
            TowerTraining.Opened.on(
                ClusterSession.open(
                    workers.cluster(), TIMEOUT, graph, ConfigProto.getDefaultInstance())));
  }

  private static TowerTraining divided(VariableKind kind, boolean sparse, WorkerProcesses workers) {
    return training(kind, sparse, workers, TowerTraining.Losses.divided(PROCESSES));
  }

  private static TowerTraining dividedHere(VariableKind kind, boolean sparse) {
    Mesh mesh = Mesh.virtualCpus("x=2");
    return new TowerTraining(
        kind,
        sparse,
        -1,
        mesh,
        TowerTraining.Losses.divided(mesh.devices()),
        graph -> TowerTraining.Opened.here(graph, mesh));
  }

  /** Also where one gets a row more, and batches are of different sizes. */
  @Test
  void computeAsTheDevicesOfOneProcess() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      for (VariableKind kind : VariableKind.values()) {
        for (boolean sparse : new boolean[] {false, true}) {
          try (TowerTraining here = dividedHere(kind, sparse);
              TowerTraining there = divided(kind, sparse, workers)) {
            assertArrayEquals(here.variables(), there.variables());
            for (int step = 0; step < STEPS; step++) {
              assertEquals(here.step(7 + step, step), there.step(7 + step, step));
            }
            assertArrayEquals(here.variables(), there.variables());
            assertEquals(
                Map.of(PROCESSES.get(0), Set.of(0), PROCESSES.get(1), Set.of(1)), there.towers(9));
            assertEquals(Set.copyOf(PROCESSES), there.devicesOfProducts(9, TowerTraining.BACKWARD));
          }
        }
      }
    }
  }

  /** That the test above would tell. */
  @Test
  void tensorFlowsOwnGradientsAreComputedInTheFirst() throws Exception {
    TowerTraining.Losses unpinned =
        (tf, batch, model) ->
            tf.identity(TowerTraining.Losses.divided(PROCESSES).of(tf, batch, model));
    try (WorkerProcesses workers = new WorkerProcesses(2);
        TowerTraining training = training(VariableKind.REFERENCE, false, workers, unpinned)) {
      assertEquals(
          Set.of(PROCESSES.get(0)), training.devicesOfProducts(9, Pattern.compile("gradients/.*")));
    }
  }

  @Test
  void aProcessThatIsLostIsNamed() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        TowerTraining training = divided(VariableKind.REFERENCE, false, workers)) {
      training.step(8, 0);
      workers.kill(1);
      String message = assertThrows(ClusterException.class, () -> training.step(8, 1)).getMessage();
      assertTrue(
          message.contains("/job:worker/task:1 at '127.0.0.1:2001' cannot be reached"), message);
    }
  }
}
