package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.NpyFiles;
import dev.adafactor.mesh.Interfaces;
import dev.adafactor.mesh.WorkerProcesses;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.tensorflow.ndarray.Shape;

/** For jobs of real processes that fail, and go on when all is mended. */
abstract class ClusterFaultsFixture extends ClusterFixture {
  /** Of the jobs that fail; a step takes some milliseconds. */
  static final Duration TIMEOUT = Duration.ofSeconds(10);

  /** What a job takes beyond that to ask who is there, and much more; far less than forever. */
  private static final Duration MORE = Duration.ofSeconds(60);

  /** Of those that succeed. */
  static final Duration PATIENCE = Duration.ofMinutes(2);

  /** Some seconds of validation. */
  private static final int ROWS = 100_000;

  /** What a job says when it has its folder of checkpoints. */
  private static final String PLANNED = "Training 8 variables";

  /** What a job is at. */
  enum Moment {
    LOADING,
    VALIDATION,
    STEPS,
    CHECKPOINT,
    EXPORT;

    private List<String> options(Path place) throws IOException {
      return switch (this) {
        case CHECKPOINT -> List.of("--checkpoint-every=1");
        case VALIDATION ->
            List.of(
                "--checkpoint-every=3",
                "--validation-features=" + zeros(place, "x.npy", "|u1", Shape.of(ROWS, 8, 8, 1)),
                "--validation-labels=" + zeros(place, "y.npy", "<i4", Shape.of(ROWS)));
        default -> List.of("--checkpoint-every=3");
      };
    }

    private static Path zeros(Path place, String name, String descr, Shape shape)
        throws IOException {
      byte[] zeros = new byte[(int) shape.size() * (descr.charAt(2) - '0')];
      return Files.write(place.resolve(name), NpyFiles.bytes(descr, false, shape, zeros));
    }

    private boolean isNow(DisturbedJob job) throws IOException {
      boolean planned = job.said(PLANNED);
      return switch (this) {
        case LOADING -> job.isConnected() && !planned;
        case VALIDATION -> planned && !job.said("Before: ");
        case STEPS -> Files.exists(job.checkpoints.resolve("ckpt-3.index"));
        case CHECKPOINT -> job.hasDraft(job.checkpoints);
        case EXPORT -> job.hasDraft(job.export.getParent());
      };
    }
  }

  /** What befalls one of its workers, or the network. */
  enum Fault {
    KILLED("cannot be reached (Connection refused)"),
    STUCK("gives no answer, though it accepts connections"),
    CUT("cannot be reached (");

    private final String complaint;

    Fault(String complaint) {
      this.complaint = complaint;
    }

    private void befall(WorkerProcesses workers, int task) throws Exception {
      switch (this) {
        case KILLED -> workers.kill(task);
        case STUCK -> workers.signal(task, "STOP");
        case CUT -> Interfaces.setLoopback("down");
      }
    }

    private void mend(WorkerProcesses workers, int task) throws Exception {
      switch (this) {
        case KILLED -> workers.restart(task);
        case STUCK -> workers.signal(task, "CONT");
        case CUT -> Interfaces.setLoopback("up");
      }
    }
  }

  /** A job in a process of its own, and what it writes. */
  static final class DisturbedJob implements AutoCloseable {
    final Path export;
    final Path checkpoints;
    final Process process;
    private final Path out;
    private final Path err;
    private final long connectionsBefore;
    private final Set<String> leftBefore;

    DisturbedJob(Path place, List<String> command) throws IOException {
      export = place.resolve("export");
      checkpoints = place.resolve("checkpoints");
      out = Files.createTempFile(place, "out", "");
      err = Files.createTempFile(place, "err", "");
      connectionsBefore = connections();
      leftBefore = leftOver(checkpoints);
      ProcessBuilder builder = JavaProcess.builder(Main.class, command.toArray());
      // Who starts the tests in the background has them ignore the signal.
      builder.command().addAll(0, List.of("env", "--default-signal=INT,TERM"));
      builder.environment().remove("TF_CPP_MIN_LOG_LEVEL");
      process = builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
    }

    /** Those that are open to the first worker. */
    private static long connections() throws IOException {
      String toFirst = ":%04X".formatted(WorkerProcesses.FIRST_PORT);
      String established = "01";
      return Stream.concat(
              Files.readAllLines(Path.of("/proc/net/tcp")).stream(),
              Files.readAllLines(Path.of("/proc/net/tcp6")).stream())
          .map(line -> line.strip().split("\\s+"))
          .filter(field -> field[2].endsWith(toFirst) && field[3].equals(established))
          .count();
    }

    boolean isConnected() throws IOException {
      return connections() > connectionsBefore;
    }

    boolean said(String text) throws IOException {
      return Files.readString(out).contains(text);
    }

    List<String> errors() throws IOException {
      return Files.readAllLines(err);
    }

    boolean hasDraft(Path folder) throws IOException {
      return Files.isDirectory(folder)
          && Stream.of(folder.toFile().list())
              .anyMatch(name -> name.startsWith(".") && !name.equals(".lock"));
    }

    /** Waits until it has its folder of checkpoints. */
    void awaitPlan() throws Exception {
      awaitSaying(PLANNED);
    }

    void awaitSaying(String text) throws Exception {
      while (!said(text)) {
        requireAlive();
        Thread.sleep(2);
      }
    }

    void await(Moment moment) throws Exception {
      while (!moment.isNow(this)) {
        requireAlive();
        Thread.sleep(2);
      }
    }

    void requireAlive() throws IOException {
      assertTrue(process.isAlive(), String.join("\n", errors()));
    }

    void signal(String name) throws Exception {
      List<String> command = List.of("kill", "-" + name, "" + process.pid());
      assertEquals(0, new ProcessBuilder(command).start().waitFor());
    }

    /** Waits for its end; gives the exit code. */
    int end() throws Exception {
      assertTrue(process.waitFor(TIMEOUT.plus(MORE).toSeconds(), TimeUnit.SECONDS), "hangs");
      return process.exitValue();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }

  /** What is in a folder of checkpoints beside those that are whole. */
  static Set<String> leftOver(Path checkpoints) {
    Set<String> files = new TreeSet<>();
    if (Files.isDirectory(checkpoints)) {
      files.addAll(List.of(checkpoints.toFile().list()));
    }
    Set<String> whole = new TreeSet<>(Set.of(".lock", "checkpoint"));
    for (String file : files) {
      if (file.endsWith(".index")) {
        whole.add(file);
        whole.add(file.replace(".index", ".data-00000-of-00001"));
      }
    }
    files.removeAll(whole);
    return files;
  }

  /** A job with checkpoints. */
  static List<String> job(Path place, WorkerProcesses workers, Duration timeout) {
    return job(
        place.resolve("export"),
        onCluster(workers, timeout, "--checkpoint=" + place.resolve("checkpoints")));
  }

  /** What a job that nothing disturbs exports. */
  final byte[] undisturbed() throws IOException {
    Path whole = folder.resolve("whole");
    return done(job(whole, "--mesh=x=2"), whole);
  }

  /** Has a job fail, and go on. */
  final void assertEndsAndGoesOn(
      byte[] whole, WorkerProcesses workers, Moment moment, Fault fault, int task)
      throws Exception {
    Path place = Files.createDirectories(folder.resolve(moment + "-" + fault + "-" + task));
    List<String> command = job(place, workers, TIMEOUT);
    command.addAll(moment.options(place));
    try (DisturbedJob job = new DisturbedJob(place, command)) {
      catchIn(moment, job, workers, task);
      long from = System.nanoTime();
      fault.befall(workers, task);
      if (fault == Fault.CUT) {
        workers.signal(task, "CONT");
      }
      assertLost(job, task, fault);
      System.out.printf(
          "%s, %s %d: %.1f s%n", moment, fault, task, (System.nanoTime() - from) / 1e9);
    } finally {
      fault.mend(workers, task);
    }
    if (fault == Fault.CUT) {
      tryAgain(workers, place);
    }
    assertGoesOn(whole, workers, place);
  }

  /**
   * A cut of some seconds leaves connections between workers open on one side alone. TensorFlow
   * notices that where it sends; where it waits, not before the timeout.
   */
  private void tryAgain(WorkerProcesses workers, Path place) {
    List<String> command = new ArrayList<>(job(place, workers, TIMEOUT));
    command.addAll(List.of("--resume", "--overwrite"));
    if (run(command) != 0) {
      assertOneLine("took longer than", "though all of its processes answer");
      err.getBuffer().setLength(0);
    }
  }

  /**
   * Asserts that a job ends since a worker is lost, says so in one line, and leaves nothing half.
   */
  static void assertLost(DisturbedJob job, int task, Fault fault) throws Exception {
    int exitCode = job.end();
    List<String> lines = job.errors();
    assertEquals(1, exitCode, lines::toString);
    assertEquals(1, lines.size(), lines::toString);
    String line = lines.get(0);
    assertTrue(line.startsWith("adafactor fine-tune: --cluster: "), line);
    String complaint =
        "/job:worker/task:%d at '127.0.0.1:%d' %s"
            .formatted(task, WorkerProcesses.FIRST_PORT + task, fault.complaint);
    assertTrue(line.contains(complaint), line);
    boolean hasCheckpoint = Files.exists(job.checkpoints.resolve("checkpoint"));
    assertEquals(hasCheckpoint, line.contains("--resume goes on from"), line);
    assertFalse(Files.exists(job.export));
    assertFalse(job.hasDraft(job.export.getParent()));
    // Before it has the folder, a job leaves there what another left that was killed.
    assertEquals(job.said(PLANNED) ? Set.of() : job.leftBefore, leftOver(job.checkpoints));
  }

  /** Stops a worker at a moment: while the job waits for it, the moment lasts. */
  private static void catchIn(Moment moment, DisturbedJob job, WorkerProcesses workers, int task)
      throws Exception {
    while (true) {
      job.await(moment);
      workers.signal(task, "STOP");
      Thread.sleep(200);
      if (moment.isNow(job)) {
        return;
      }
      workers.signal(task, "CONT");
    }
  }

  /** Resumes a job, here, and compares its result with that of one that was never disturbed. */
  final void assertGoesOn(byte[] whole, WorkerProcesses workers, Path place) throws IOException {
    List<String> command = new ArrayList<>(job(place, workers, PATIENCE));
    command.addAll(List.of("--resume", "--overwrite"));
    assertArrayEquals(whole, done(command, place.resolve("export")));
  }
}
