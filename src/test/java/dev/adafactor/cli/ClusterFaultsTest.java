package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.WorkerProcesses;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * What becomes of jobs whose processes or network fail: a sample; {@link ClusterFaultsLiveTest} has
 * the others.
 */
@ExtendWith(OwnNetwork.class)
class ClusterFaultsTest extends ClusterFaultsFixture {
  private static final int INTERRUPTED = 130;

  @Test
  void endJobsThatGoOn() throws Exception {
    byte[] whole = undisturbed();
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      assertSaysWhoIsNotThere(workers);
      assertEndsAndGoesOn(whole, workers, Moment.LOADING, Fault.KILLED, 1);
      assertEndsAndGoesOn(whole, workers, Moment.VALIDATION, Fault.KILLED, 1);
      assertEndsAndGoesOn(whole, workers, Moment.STEPS, Fault.CUT, 0);
      assertEndsAndGoesOn(whole, workers, Moment.CHECKPOINT, Fault.KILLED, 0);
      assertEndsAndGoesOn(whole, workers, Moment.EXPORT, Fault.STUCK, 0);
    }
  }

  private void assertSaysWhoIsNotThere(WorkerProcesses workers) throws Exception {
    workers.kill(1);
    assertEquals(1, run(job(folder.resolve("never"), workers, TIMEOUT)));
    assertOneLine("--cluster: /job:worker/task:1 at '127.0.0.1:2001' cannot be reached");
    Process strange = WorkerProcesses.program("worker=127.0.0.1:2001", 0).start();
    try {
      assertNotNull(strange.inputReader().readLine());
      err.getBuffer().setLength(0);
      assertEquals(2, run(job(folder.resolve("strange"), workers, PATIENCE)));
      assertOneLine(
          "--cluster: the processes of ",
          " were started as those of another one, with /job:worker/task:0 at '127.0.0.1:2001'");
    } finally {
      strange.destroyForcibly().waitFor();
    }
    err.getBuffer().setLength(0);
    workers.restart(1);
  }

  /** However a program ends, its workers do the next job. */
  @Test
  void areNotThoseOfTheNextJob() throws Exception {
    byte[] whole = undisturbed();
    Path place = Files.createDirectories(folder.resolve("place"));
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      List<String> command = withEpochs(1000, job(place, workers, TIMEOUT));
      command.addAll(List.of("--checkpoint-every=3", "--resume", "--overwrite"));
      try (DisturbedJob job = new DisturbedJob(place, command)) {
        job.await(Moment.STEPS);
        job.process.destroyForcibly().waitFor();
      }
      try (DisturbedJob job = new DisturbedJob(place, command)) {
        job.awaitSaying("Going on from");
        job.signal("INT");
        assertEquals(INTERRUPTED, job.end());
        assertTrue(job.said("Interrupted after step "));
        assertTrue(Files.exists(job.export));
      }
      try (DisturbedJob job = new DisturbedJob(place, command)) {
        job.awaitSaying("Going on from");
        workers.signal(1, "STOP");
        job.signal("INT");
        while (job.errors().isEmpty()) {
          Thread.sleep(2);
        }
        job.signal("INT");
        assertEquals(INTERRUPTED, job.end());
      } finally {
        workers.signal(1, "CONT");
      }
      Path next = folder.resolve("next");
      assertArrayEquals(whole, done(job(next, onCluster(workers, PATIENCE)), next));
    }
  }
}
