package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.OwnNetwork;
import dev.adafactor.finetune.Digits;
import dev.adafactor.mesh.WorkerProcesses;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Jobs that processes of a cluster do, which fail and come back. */
@ExtendWith(OwnNetwork.class)
class ClusterJobTest extends ProgramFixture {
  private static final Duration TIMEOUT = Duration.ofSeconds(6);

  private static final Duration BOUND = Duration.ofMinutes(3);

  private List<String> job(Path export, String... more) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "fine-tune",
                "--model=" + Digits.MODEL,
                "--features=" + Digits.TRAIN_IMAGES,
                "--labels=" + Digits.TRAIN_LABELS,
                "--loss=sparse-categorical-crossentropy",
                "--learning-rate=0.03",
                "--use-ema",
                "--batch-size=160",
                "--epochs=2",
                "--export=" + export));
    command.addAll(List.of(more));
    return command;
  }

  private static String[] onCluster(WorkerProcesses workers, String... more) {
    List<String> options =
        new ArrayList<>(
            List.of(
                "--mesh=x=2",
                "--cluster=" + workers.cluster(),
                "--operation-timeout=" + TIMEOUT.toSeconds()));
    options.addAll(List.of(more));
    return options.toArray(String[]::new);
  }

  private static byte[] variables(Path model) throws IOException {
    return Files.readAllBytes(model.resolve("variables/variables.data-00000-of-00001"));
  }

  private Path done(List<String> command, Path export) {
    assertEquals(0, run(command), err::toString);
    return export;
  }

  /** The bytes do not depend on where the shards are. */
  @Test
  void areThoseOfVirtualDevices() throws Exception {
    Path virtual = folder.resolve("virtual");
    done(job(virtual, "--mesh=x=2"), virtual);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Path spread = folder.resolve("spread");
      done(job(spread, onCluster(workers)), spread);
      assertArrayEquals(variables(virtual), variables(spread));
    }
  }

  @Test
  void divideBatches() throws Exception {
    Path virtual = folder.resolve("virtual");
    done(job(virtual, "--mesh=batch=2"), virtual);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Path divided = folder.resolve("divided");
      String[] devices = {"--mesh=batch=2", "--cluster=" + workers.cluster()};
      done(job(divided, devices), divided);
      assertArrayEquals(variables(virtual), variables(divided));
    }
  }

  @Test
  void goOnFromTheLastCheckpointAfterAWorkerIsKilled() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Path whole = folder.resolve("whole");
      done(job(whole, onCluster(workers)), whole);
      for (int task : new int[] {1, 0}) {
        Path resumed = folder.resolve("resumed-" + task);
        Path checkpoints = folder.resolve("checkpoints-" + task);
        List<String> command =
            job(resumed, onCluster(workers, "--checkpoint=" + checkpoints, "--checkpoint-every=3"));
        assertTimeoutPreemptively(
            BOUND, () -> killAfterCheckpoint(workers, task, command, checkpoints));
        assertFalse(Files.exists(resumed));
        workers.restart(task);
        command.add("--resume");
        done(command, resumed);
        assertArrayEquals(variables(whole), variables(resumed));
      }
    }
  }

  private void killAfterCheckpoint(
      WorkerProcesses workers, int task, List<String> command, Path checkpoints) throws Exception {
    Process job = JavaProcess.builder(Main.class, command.toArray()).start();
    try {
      while (!Files.exists(checkpoints.resolve("ckpt-3.index"))) {
        assertTrue(job.isAlive());
        Thread.sleep(10);
      }
      workers.kill(task);
      assertEquals(1, job.waitFor());
      BufferedReader errors = job.errorReader();
      List<String> lines = errors.lines().filter(line -> line.contains("fine-tune: ")).toList();
      assertEquals(1, lines.size(), lines::toString);
      String line = lines.get(0);
      assertTrue(line.contains("--cluster: "), line);
      assertTrue(
          line.contains("/job:worker/task:" + task + " at '127.0.0.1:" + (2000 + task)), line);
      assertTrue(line.contains("cannot be reached"), line);
      assertTrue(line.contains("--resume goes on from"), line);
    } finally {
      job.destroyForcibly();
    }
  }

  @Test
  void refuseWhatDoesNotGoTogether() {
    String cluster = "--cluster=worker=localhost:1,localhost:2";
    Path no = folder.resolve("no");
    assertRefused(job(no, cluster), "--cluster needs --mesh", "2 processes");
    assertRefused(job(no, cluster, "--mesh=x=3"), "--mesh: ", "3 points, but 2 devices");
    assertRefused(job(no, "--cluster=worker", "--mesh=x=1"), "--cluster: 'worker' is no JOB=");
    assertRefused(job(no, "--mesh=x2"), "--mesh: 'x2' is no mesh");
    assertRefused(job(no, "--mesh=a=2"), "mesh: a=2 has neither x");
    assertRefused(job(no, "--operation-timeout=3"), "--operation-timeout is for --cluster");
    assertRefused(
        job(no, cluster, "--mesh=x=2", "--operation-timeout=0"), "--operation-timeout is 0.0;");
    assertRefused(job(no, "--mesh=x=2", "--numerics=tf_keras"), "use Numerics.STABLE");
  }

  private void assertRefused(List<String> command, String... parts) {
    err.getBuffer().setLength(0);
    assertEquals(2, run(command), err::toString);
    assertOneLine(parts);
  }
}
