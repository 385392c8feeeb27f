package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.OwnNetwork;
import dev.adafactor.Snapshot;
import java.io.BufferedReader;
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

/** What becomes of a job when its processes or its network fail, and after they are back. */
@ExtendWith(OwnNetwork.class)
class FaultsTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(6);

  /** Running, closing the session, and asking who is there; far less than forever. */
  private static final Duration BOUND = TIMEOUT.multipliedBy(4);

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
  private void assertGoesOn(WorkerProcesses workers, String complaint, Event fault, Event mended)
      throws Exception {
    Snapshot whole = undisturbed(workers, STEPS);
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
  void workersThatAreKilledBetweenSteps() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      for (int task : new int[] {1, 0}) {
        assertGoesOn(
            workers,
            "/job:worker/task:" + task + " at '127.0.0.1:" + (2000 + task) + "' cannot be reached",
            all -> all.kill(task),
            all -> all.restart(task));
      }
    }
  }

  /** Nobody waits for a process that is known to be lost, however long a step may take. */
  @Test
  void aWorkerThatIsKilledWhereStepsMayTakeLong() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      assertTimeoutPreemptively(
          Duration.ofMinutes(1),
          () -> {
            try (PinnedTraining training =
                new PinnedTraining(workers.cluster(), Duration.ofHours(1), builder -> builder)) {
              training.step();
              workers.kill(1);
              assertFault("task:1", training::step);
            }
          });
    }
  }

  @Test
  void workersThatAreStartedAnewUnseen() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      for (int task : new int[] {1, 0}) {
        assertGoesOn(
            workers,
            "/job:worker/task:" + task + " at '127.0.0.1:" + (2000 + task) + "' was started anew",
            all -> {
              all.kill(task);
              all.restart(task);
            },
            all -> {});
      }
    }
  }

  @Test
  void aWorkerThatIsStuck() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      assertGoesOn(
          workers,
          "/job:worker/task:1 at '127.0.0.1:2001' gives no answer, though it accepts connections",
          all -> all.signal(1, "STOP"),
          all -> all.signal(1, "CONT"));
    }
  }

  @Test
  void aNetworkThatIsCut() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      assertGoesOn(
          workers,
          "/job:worker/task:1 at '127.0.0.1:2001' cannot be reached",
          all -> Interfaces.setLoopback("down"),
          all -> Interfaces.setLoopback("up"));
    }
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

  @Test
  void aClientThatIsKilled() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Process job =
          JavaProcess.builder(
                  PinnedJob.class, workers.cluster(), folder, Long.MAX_VALUE, TIMEOUT.toMillis())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      try {
        BufferedReader output = job.inputReader();
        String saved = "" + (PinnedJob.EVERY + 1);
        for (String line = ""; !line.equals(saved); line = output.readLine()) {
          assertNotNull(line);
        }
      } finally {
        job.destroyForcibly().waitFor();
      }
      try (PinnedTraining training = start(workers)) {
        training.resume(folder);
        long steps = training.iterations() + 3;
        training.trainTo(steps);
        assertEquals(undisturbed(workers, steps), training.snapshot());
      }
    }
  }

  @Test
  void aWorkerThatIsNotThereToBeginWith() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      for (int task : new int[] {1, 0}) {
        workers.kill(task);
        assertTimeoutPreemptively(BOUND, () -> assertFault("task:" + task, () -> start(workers)));
        workers.restart(task);
      }
    }
  }
}
