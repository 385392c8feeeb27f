package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.OwnNetwork;
import dev.adafactor.Snapshot;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Timer;
import java.util.TimerTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.io.FifoQueue;
import org.tensorflow.types.TFloat32;

/** What becomes of a job when its processes fail, and after they are back. */
@ExtendWith(OwnNetwork.class)
class FaultsTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(4);

  /** Running, asking who is there, and starting a process anew; far less than forever. */
  private static final Duration BOUND = Duration.ofMinutes(1);

  private static final int SAVED = 3;
  private static final int STEPS = 8;

  @TempDir Path folder;

  /** Something that goes wrong, or is mended. */
  @FunctionalInterface
  private interface Event {
    void happen(WorkerProcesses workers) throws Exception;
  }

  private static PinnedTraining start(WorkerProcesses workers) {
    return new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true));
  }

  private static Snapshot undisturbed(WorkerProcesses workers, long steps) {
    try (PinnedTraining training = start(workers)) {
      training.trainTo(steps);
      return training.snapshot();
    }
  }

  /** Has a fault happen between two steps, and goes on from the last checkpoint. */
  private void assertGoesOn(
      WorkerProcesses workers, Snapshot whole, String complaint, Event fault, Event mended)
      throws Exception {
    assertTimeoutPreemptively(
        BOUND,
        () -> {
          try (PinnedTraining training = start(workers)) {
            training.trainTo(SAVED);
            training.save(folder);
            training.step();
            fault.happen(workers);
            assertFault(complaint, training::step);
          }
        });
    mended.happen(workers);
    assertResumes(workers, whole);
  }

  private void assertResumes(WorkerProcesses workers, Snapshot whole) throws Exception {
    try (PinnedTraining training = start(workers)) {
      training.resume(folder);
      assertEquals(SAVED, training.iterations());
      training.trainTo(STEPS);
      assertEquals(whole, training.snapshot());
    }
  }

  private static void assertFault(String part, Executable run) {
    long from = System.nanoTime();
    ClusterException e = assertThrows(ClusterException.class, run);
    System.out.printf("after %.1f s: %s%n", (System.nanoTime() - from) / 1e9, e.getMessage());
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }

  @Test
  void workersThatAreKilledBetweenStepsOrStartedAnewUnseen() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Snapshot whole = undisturbed(workers, STEPS);
      for (int task : new int[] {1, 0}) {
        String complaint = "/job:worker/task:%d at '127.0.0.1:%d' ".formatted(task, 2000 + task);
        assertGoesOn(
            workers,
            whole,
            complaint + "cannot be reached",
            all -> all.kill(task),
            all -> all.restart(task));
        assertGoesOn(
            workers,
            whole,
            complaint + "was started anew",
            all -> {
              all.kill(task);
              all.restart(task);
            },
            all -> {});
      }
      assertIsNoticedAtOnce(workers);
    }
  }

  /** Nobody waits for a process that is known to be lost, however long a step may take. */
  private static void assertIsNoticedAtOnce(WorkerProcesses workers) {
    assertTimeoutPreemptively(
        BOUND,
        () -> {
          try (PinnedTraining training =
              new PinnedTraining(workers.cluster(), Duration.ofHours(1), builder -> builder)) {
            training.step();
            workers.kill(1);
            assertFault("task:1", training::step);
          }
        });
  }

  /** The step waits for what never comes, until its worker is gone. */
  @Test
  void aWorkerThatIsKilledInMidStep() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Snapshot whole = undisturbed(workers, STEPS);
      for (int task : new int[] {1, 0}) {
        assertTimeoutPreemptively(
            BOUND,
            () -> {
              try (PinnedTraining training = start(workers)) {
                training.trainTo(SAVED);
                training.save(folder);
                Op forever = waiting(training, workers.cluster().tasks().get(task));
                killSoon(workers, task);
                assertFault("task:" + task, () -> training.run(forever));
              }
            });
        workers.restart(task);
        assertResumes(workers, whole);
      }
    }
  }

  private static Op waiting(PinnedTraining training, Task task) {
    Ops tf = Ops.create(training.graph()).withDevice(task.device());
    FifoQueue queue = tf.io.fifoQueue(List.of(TFloat32.class));
    return tf.io.queueDequeue(queue, List.of(TFloat32.class));
  }

  private static void killSoon(WorkerProcesses workers, int task) {
    new Timer(true)
        .schedule(
            new TimerTask() {
              @Override
              public void run() {
                try {
                  workers.kill(task);
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              }
            },
            1000);
  }
}
