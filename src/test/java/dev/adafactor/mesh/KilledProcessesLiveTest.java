package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.OwnNetwork;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * A job on two workers, one of the three processes of which is killed at a random moment, again and
 * again: five times, or for {@code -Dlive.full=true} thirty.
 */
@Tag("live")
@ExtendWith(OwnNetwork.class)
class KilledProcessesLiveTest {
  private static final int KILLS = Boolean.getBoolean("live.full") ? 30 : 5;
  private static final long SEED = Long.getLong("live.seed", new Random().nextInt(1 << 30));
  private static final Duration TIMEOUT = Duration.ofSeconds(10);
  private static final int LATEST_MS = 1500;
  private static final int MORE_STEPS = 7;
  private static final int WORKERS = 2;

  @TempDir Path folder;

  private Process start(Cluster cluster, String name, long steps) throws IOException {
    return JavaProcess.builder(
            PinnedJob.class, cluster, folder.resolve(name), steps, TIMEOUT.toMillis())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  @Test
  void endAndGoOnBitEqual() throws Exception {
    System.out.println(KILLS + " kills; -Dlive.seed=" + SEED + " repeats them");
    Random random = new Random(SEED);
    int lost = 0;
    int saving = 0;
    try (WorkerProcesses workers = new WorkerProcesses(WORKERS)) {
      for (int kill = 0; kill < KILLS; kill++) {
        Process job = start(workers.cluster(), "killed", Long.MAX_VALUE);
        try {
          // Some are killed before the session is open.
          boolean waits = random.nextInt(4) > 0;
          if (waits) {
            awaitSteps(job.inputReader());
          }
          Thread.sleep(random.nextInt(LATEST_MS));
          int victim = random.nextInt(WORKERS + 1);
          if (victim == WORKERS) {
            // Of its handle: what it has said remains to be read.
            job.toHandle().destroyForcibly();
          } else {
            workers.kill(victim);
            lost++;
          }
          List<String> lines = job.inputReader().lines().toList();
          saving += isSaving(lines) ? 1 : 0;
          String said = remarks(lines);
          assertTrue(job.waitFor(3 * TIMEOUT.toSeconds(), TimeUnit.SECONDS), "hangs; " + said);
          if (victim < WORKERS) {
            assertEquals(PinnedJob.LOST, job.exitValue(), said);
            assertTrue(said.contains("/job:worker/task:" + victim + " at '127.0.0.1:"), said);
            workers.restart(victim);
          }
        } finally {
          job.destroyForcibly();
        }
      }
      long last = lastStep() + MORE_STEPS;
      for (String name : new String[] {"killed", "whole"}) {
        Process job = start(workers.cluster(), name, last);
        String said = remarks(job.inputReader().lines().toList());
        assertEquals(0, job.waitFor(), said);
      }
      assertNotEquals(MORE_STEPS, last, "nothing was saved between the kills");
      assertArrayEquals(data("whole", last), data("killed", last));
      System.out.printf(
          "%d kills, %d of them of workers, %d while a checkpoint was written: bit-equal after %d"
              + " steps%n",
          KILLS, lost, saving, last);
    }
  }

  private static void awaitSteps(BufferedReader output) throws IOException {
    for (int lines = 0; lines < 3; lines++) {
      output.readLine();
    }
  }

  private static boolean isSaving(List<String> lines) {
    List<String> done = lines.stream().filter(KilledProcessesLiveTest::isProgress).toList();
    return !done.isEmpty() && done.get(done.size() - 1).equals(PinnedJob.SAVING);
  }

  private static boolean isProgress(String line) {
    return line.equals(PinnedJob.SAVING) || line.matches("\\d+");
  }

  private static String remarks(List<String> lines) {
    return lines.stream().filter(line -> !isProgress(line)).collect(Collectors.joining("\n"));
  }

  private long lastStep() throws IOException {
    String latest = Files.readString(folder.resolve("killed").resolve("checkpoint"));
    return Long.parseLong(latest.lines().findFirst().orElseThrow().replaceAll("\\D", ""));
  }

  private byte[] data(String name, long step) throws IOException {
    return Files.readAllBytes(
        folder.resolve(name).resolve("ckpt-" + step + ".data-00000-of-00001"));
  }
}
