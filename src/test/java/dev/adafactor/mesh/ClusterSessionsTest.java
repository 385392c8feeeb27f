package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.OwnNetwork;
import dev.adafactor.Snapshot;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

@ExtendWith(OwnNetwork.class)
class ClusterSessionsTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  @TempDir Path folder;

  @Test
  void trainsOnTwoWorkersAndPutsTheStateBack() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Snapshot early;
      Snapshot whole;
      try (PinnedTraining training =
          new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
        training.trainTo(3);
        training.adafactor().setLearningRate(training.session(), 0.01);
        training.save(folder);
        early = training.snapshot();
        training.trainTo(6);
        whole = training.snapshot();
        assertNotEquals(early, whole);
        training.adafactor().restore(training.session(), early);
        training.trainTo(6);
        assertEquals(whole, training.snapshot());
      }
      try (PinnedTraining training =
          new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
        assertEquals(0, training.iterations());
        training.resume(folder);
        assertEquals(early, training.snapshot());
        training.trainTo(6);
        assertEquals(whole, training.snapshot());
      }
      assertEquals(0, workers.terminate(1));
      assertEquals(0, workers.terminate(0));
    }
  }

  @Test
  void sessionsHaveVariablesOfTheirOwn() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        PinnedTraining one =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true));
        PinnedTraining other =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
      one.trainTo(3);
      assertEquals(0, other.iterations());
      other.trainTo(3);
      assertEquals(one.snapshot(), other.snapshot());
    }
  }

  /** What has nothing to do with who is there stays what it is. */
  @Test
  void errorsOfTheGraphAreLeftAsTheyAre() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        PinnedTraining training =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder)) {
      Ops tf = Ops.create(training.graph()).withDevice(new Task("worker", 1).device());
      Op failing = tf.strings.toNumber(tf.constant("x"), TFloat32.class);
      assertThrows(TFInvalidArgumentException.class, () -> training.run(failing));
      training.trainTo(1);
    }
  }
}
