package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.OwnNetwork;
import dev.adafactor.Snapshot;
import dev.adafactor.python.Python;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@Tag("live")
@ExtendWith(OwnNetwork.class)
class PythonWorkersLiveTest {
  private static final int STEPS = 5;

  /** Of the same version of TensorFlow, they compute the same bits, alone and beside ours. */
  @Test
  void computeAsOursDo() throws Exception {
    Snapshot ours = train(new WorkerProcesses(2));
    assertEquals(
        ours,
        train(
            new WorkerProcesses(2, (cluster, task) -> Python.command("worker.py", cluster, task))));
    assertEquals(
        ours,
        train(
            new WorkerProcesses(
                2,
                (cluster, task) ->
                    task == 0
                        ? WorkerProcesses.program(cluster, task)
                        : Python.command("worker.py", cluster, task))));
  }

  private static Snapshot train(WorkerProcesses started) {
    try (WorkerProcesses workers = started;
        PinnedTraining training =
            new PinnedTraining(
                workers.cluster(), Duration.ofMinutes(2), builder -> builder.useEma(true))) {
      training.trainTo(STEPS);
      return training.snapshot();
    }
  }
}
