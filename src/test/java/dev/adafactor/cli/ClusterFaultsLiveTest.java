package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.WorkerProcesses;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;

/** What {@link ClusterFaultsTest} has a sample of; for {@code -Dlive.full=true} alone. */
@Tag("live")
@EnabledIfSystemProperty(named = "live.full", matches = "true")
@ExtendWith(OwnNetwork.class)
class ClusterFaultsLiveTest extends ClusterFaultsFixture {
  private static final long SEED = Long.getLong("live.seed", new Random().nextInt(1 << 30));
  private static final int KILLS = 30;
  private static final int WORKERS = 2;
  private static final int LATEST_MS = 3000;
  private static final int STEPS_OF_AN_EPOCH = 9;

  @Test
  void endJobsAtEveryMoment() throws Exception {
    byte[] whole = undisturbed();
    try (WorkerProcesses workers = new WorkerProcesses(WORKERS)) {
      for (Moment moment : Moment.values()) {
        for (int task = 0; task < WORKERS; task++) {
          if (moment != Moment.EXPORT || task == 0) { // What is exported is with the first.
            assertEndsAndGoesOn(whole, workers, moment, Fault.KILLED, task);
            assertEndsAndGoesOn(whole, workers, moment, Fault.STUCK, task);
          }
        }
        assertEndsAndGoesOn(whole, workers, moment, Fault.CUT, 0);
      }
    }
  }

  @Test
  void endJobsOfPythonsServers() throws Exception {
    byte[] whole = undisturbed();
    try (WorkerProcesses workers =
        new WorkerProcesses(
            WORKERS, (cluster, task) -> Python.command("worker.py", cluster, task))) {
      assertEndsAndGoesOn(whole, workers, Moment.STEPS, Fault.KILLED, 0);
      assertEndsAndGoesOn(whole, workers, Moment.STEPS, Fault.KILLED, 1);
      assertEndsAndGoesOn(whole, workers, Moment.CHECKPOINT, Fault.STUCK, 1);
    }
  }

  /** Of the program and its workers, one is killed at a random moment, again and again. */
  @Test
  void endJobsAtRandom() throws Exception {
    System.out.println(KILLS + " kills; -Dlive.seed=" + SEED + " repeats them");
    Random random = new Random(SEED);
    Path place = Files.createDirectories(folder.resolve("killed"));
    try (WorkerProcesses workers = new WorkerProcesses(WORKERS)) {
      for (int kill = 0; kill < KILLS; kill++) {
        try (DisturbedJob job = new DisturbedJob(place, endless(place, workers))) {
          if (random.nextInt(4) > 0) {
            job.awaitPlan();
          }
          Thread.sleep(random.nextInt(LATEST_MS));
          int victim = random.nextInt(WORKERS + 1);
          if (victim == WORKERS) {
            job.process.destroyForcibly().waitFor();
          } else {
            workers.kill(victim);
            assertLost(job, victim, Fault.KILLED);
            workers.restart(victim);
          }
        }
      }
      int epochs = (int) (newest(place.resolve("checkpoints")) / STEPS_OF_AN_EPOCH) + 2;
      List<String> command = withEpochs(epochs, job(place, workers, PATIENCE));
      command.add("--resume");
      Path whole = folder.resolve("whole");
      byte[] expected = done(withEpochs(epochs, job(whole, "--mesh=x=2")), whole);
      assertArrayEquals(expected, done(command, place.resolve("export")));
      assertEquals(Set.of(), leftOver(place.resolve("checkpoints")));
      System.out.println(epochs + " epochs: the same bits as without");
    }
  }

  private static List<String> endless(Path place, WorkerProcesses workers) {
    List<String> command = withEpochs(1_000_000, job(place, workers, TIMEOUT));
    command.addAll(List.of("--checkpoint-every=5", "--resume"));
    return command;
  }

  private static long newest(Path checkpoints) throws IOException {
    try (Stream<Path> files = Files.list(checkpoints)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".index"))
          .mapToLong(name -> Long.parseLong(name.replaceAll("\\D", "")))
          .max()
          .orElseThrow();
    }
  }
}
