package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import dev.adafactor.finetune.NpyFiles;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

/** The program as a process of its own, with a small heap, and real signals. */
@EnabledOnOs(OS.LINUX)
class InterruptionTest {
  private static final int INTERRUPTED = 130;
  private static final int TERMINATED = 143;

  @TempDir Path folder;
  private Process process;

  @AfterEach
  void end() {
    process.destroyForcibly();
  }

  private void start(Path features, Path labels, String... options) throws IOException {
    ProcessBuilder builder =
        JavaProcess.builder(
            List.of("-Xmx128m", "-Djava.io.tmpdir=" + Files.createDirectories(temporary())),
            Main.class,
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--loss=sparse-categorical-crossentropy",
            "--features=" + features,
            "--labels=" + labels,
            "--export=" + folder.resolve("model"),
            "--json=" + folder.resolve("run.json"),
            "--chart=" + folder.resolve("chart.png"));
    builder.command().addAll(List.of(options));
    // Who starts the tests in the background has them ignore the signal.
    builder.command().addAll(0, List.of("env", "--default-signal=INT,TERM"));
    builder.redirectOutput(folder.resolve("out").toFile());
    process = builder.redirectError(folder.resolve("errors").toFile()).start();
  }

  private Path temporary() {
    return folder.resolve("temporary");
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  private void await(String file, String text) throws Exception {
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(3);
    while (!read(file).contains(text)) {
      assertTrue(process.isAlive(), () -> "ended with " + process.exitValue());
      assertTrue(System.nanoTime() < end, "no '" + text + "'");
      Thread.sleep(20);
    }
  }

  private void interrupt() throws Exception {
    signal("INT");
  }

  private void signal(String name) throws Exception {
    List<String> command = List.of("kill", "-" + name, "" + process.pid());
    assertEquals(0, new ProcessBuilder(command).start().waitFor());
  }

  private void assertInterrupted() throws Exception {
    assertEndsWith(INTERRUPTED);
  }

  private void assertEndsWith(int exitCode) throws Exception {
    assertTrue(process.waitFor(3, TimeUnit.MINUTES));
    assertEquals(exitCode, process.exitValue(), read("errors"));
  }

  private Path sparse(String name, String descr, Shape shape, int elementSize) throws IOException {
    Path file = Files.write(folder.resolve(name), NpyFiles.bytes(descr, false, shape, new byte[0]));
    try (RandomAccessFile content = new RandomAccessFile(file.toFile(), "rw")) {
      content.setLength(content.length() + shape.size() * elementSize);
    }
    return file;
  }

  @Test
  void endsAfterTheStepWithAllResults() throws Exception {
    start(Digits.TRAIN_IMAGES, Digits.TRAIN_LABELS, "--epochs=100000");
    await("out", "Epoch 2/100000");
    interrupt();
    assertInterrupted();
    assertTrue(read("out").contains("Interrupted after step "), read("out"));
    assertTrue(Files.exists(folder.resolve("model/saved_model.pb")));
    assertTrue(Files.exists(folder.resolve("chart.png")));
    JsonNode report = new JsonMapper().readTree(read("run.json"));
    assertEquals("interrupted", report.get("ending").textValue());
    assertTrue(report.get("losses").size() >= 2 * 43);
  }

  /** Validation takes nearly all of the time: the signal comes while it goes on. */
  @Test
  void aTerminationEndsTheValidationAndGivesResults() throws Exception {
    Path images = sparse("x.npy", "|u1", Shape.of(120_000, 8, 8, 1), 1);
    Path labels = sparse("y.npy", "<i8", Shape.of(120_000), Long.BYTES);
    start(
        Digits.TRAIN_IMAGES,
        Digits.TRAIN_LABELS,
        "--epochs=1",
        "--validation-features=" + images,
        "--validation-labels=" + labels);
    await("out", "Before: ");
    Thread.sleep(500);
    signal("TERM");
    assertEndsWith(TERMINATED);
    assertTrue(read("out").contains("Interrupted after step "), read("out"));
    assertTrue(Files.exists(folder.resolve("model/saved_model.pb")));
    JsonNode report = new JsonMapper().readTree(read("run.json"));
    assertEquals(0, report.at("/metrics/epochs").size());
  }

  @Test
  void leavesAtOnceTheSecondTime() throws Exception {
    Path images = sparse("x.npy", "|u1", Shape.of(120_000, 8, 8, 1), 1);
    Path labels = sparse("y.npy", "<i8", Shape.of(120_000), Long.BYTES);
    // A step that takes much longer than the way of a signal.
    start(images, labels, "--batch-size=60000");
    await("out", "Training 8 variables");
    Thread.sleep(500); // The first step begins.
    interrupt();
    await("errors", "Once more to leave at once");
    interrupt();
    assertInterrupted();
    assertFalse(Files.exists(folder.resolve("model")));
    assertFalse(Files.exists(folder.resolve("run.json")));
  }

  /** What a job keeps for a comparison is in a folder that nobody else would remove. */
  @Test
  void leavesNothingBehindWhereItLeavesAtOnce() throws Exception {
    Path images = sparse("x.npy", "|u1", Shape.of(120_000, 8, 8, 1), 1);
    Path labels = sparse("y.npy", "<i8", Shape.of(120_000), Long.BYTES);
    Path python =
        python("case \"$2 $5\" in versions.py*) echo {} > $3;; *--check) mkdir $4;; esac");
    start(images, labels, "--batch-size=60000", "--compare-with=" + python);
    await("out", "Training 8 variables");
    assertFalse(leftovers().isEmpty(), "nothing is kept for the comparison");
    Thread.sleep(500); // The first step begins.
    interrupt();
    await("errors", "Once more to leave at once");
    signal("TERM");
    assertEndsWith(TERMINATED);
    assertEquals(List.of(), leftovers());
    assertFalse(Files.exists(folder.resolve("model")));
  }

  @Test
  void endsAComparisonWithThePythonThatDoesIt() throws Exception {
    startComparison(
        "case \"$2 $5\" in versions.py*) echo {} > $3;; *--check) mkdir $4;; *) %s;; esac");
    signal("TERM");
    assertEndsWith(TERMINATED);
    assertTrue(read("out").contains("Interrupted: not compared"), read("out"));
    assertTrue(Files.exists(folder.resolve("model/saved_model.pb")));
    assertNothingIsLeft();
  }

  @Test
  void endsThePythonThatChecksWhetherItCanDoTheJob() throws Exception {
    startComparison("case $2 in versions.py) echo {} > $3;; *) %s;; esac");
    signal("TERM");
    assertEndsWith(TERMINATED);
    assertTrue(read("out").contains("nothing was trained or exported"), read("out"));
    assertFalse(Files.exists(folder.resolve("model")));
    assertNothingIsLeft();
  }

  /** Nobody listens to signals yet. */
  @Test
  void endsThePythonThatIsAskedBeforeAJob() throws Exception {
    startComparison("%s");
    signal("TERM");
    assertEndsWith(TERMINATED);
    assertFalse(Files.exists(folder.resolve("model")));
    assertNothingIsLeft();
  }

  private Path python(String script) throws IOException {
    Path python = Files.writeString(folder.resolve("python"), "#!/bin/sh\n" + script + "\n");
    assertTrue(python.toFile().setExecutable(true));
    return python;
  }

  private void startComparison(String script) throws Exception {
    // Not exec: the process that is started has one of its own.
    String wait = "echo $$ > '%s'; sleep 1000".formatted(folder.resolve("pid"));
    Path python = python(script.formatted(wait));
    Files.createFile(folder.resolve("pid"));
    start(Digits.TRAIN_IMAGES, Digits.TRAIN_LABELS, "--epochs=1", "--compare-with=" + python);
    await("pid", "\n");
  }

  private void assertNothingIsLeft() throws Exception {
    long pid = Long.parseLong(read("pid").strip());
    assertFalse(ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false));
    assertEquals(List.of(), leftovers());
  }

  private List<Path> leftovers() throws IOException {
    try (Stream<Path> left = Files.list(temporary())) {
      return left.filter(path -> path.getFileName().toString().startsWith("adafactor-")).toList();
    }
  }

  @Test
  void dataLargerThanTheHeapAreTrainedOn() throws Exception {
    long rows = 1_000_000;
    Path images = sparse("x.npy", "<f8", Shape.of(rows, 8, 8, 1), Double.BYTES);
    Path labels = sparse("y.npy", "<i8", Shape.of(rows), Long.BYTES);
    start(images, labels, "--no-shuffle");
    await("out", "Training 8 variables");
    Thread.sleep(500);
    interrupt();
    assertInterrupted();
    assertTrue(read("out").contains("Interrupted after step "), read("out"));
  }

  @Test
  void whileTheDataAreBeingCheckedNothingIsWritten() throws Exception {
    long rows = 50_000_000;
    Path images = sparse("x.npy", "<f8", Shape.of(rows, 8, 8, 1), Double.BYTES);
    Path labels = sparse("y.npy", "<i8", Shape.of(rows), Long.BYTES);
    start(images, labels);
    await("out", "Checking features of input 'image'");
    interrupt();
    assertInterrupted();
    assertTrue(read("out").contains("interrupted before the first step"), read("out"));
    assertFalse(Files.exists(folder.resolve("model")));
    assertFalse(Files.exists(folder.resolve("run.json")));
  }
}
