package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Disks that are full or read-only; each is a file system in memory, in a namespace of its own. */
class FullDiskTest {
  private static final String VARIABLES = "variables/variables.data-00000-of-00001";

  @TempDir Path folder;
  private Path disk;

  @BeforeEach
  void require() throws Exception {
    disk = Files.createDirectory(folder.resolve("disk"));
    assumeTrue(
        Files.isExecutable(Path.of("/usr/bin/unshare")) && inNamespace("true") == 0,
        "no user namespaces here");
  }

  private Path errors() {
    return folder.resolve("errors");
  }

  /** Runs a script on a disk of 200 kB, which holds no digits model. */
  private int inNamespace(String script) throws Exception {
    return inNamespace("200k", script);
  }

  private int inNamespace(String size, String script) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
            "unshare",
            "-rm",
            "sh",
            "-c",
            "mount -t tmpfs -o size=%s tmpfs '%s' && %s".formatted(size, disk, script));
    // What the tests set would be taken for the user's wish.
    builder.environment().remove("TF_CPP_MIN_LOG_LEVEL");
    builder.redirectOutput(folder.resolve("output").toFile());
    Process process = builder.redirectError(errors().toFile()).start();
    try {
      assertTrue(process.waitFor(5, TimeUnit.MINUTES), "hangs");
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private static String program(String... options) {
    ProcessBuilder builder =
        JavaProcess.builder(
            Main.class,
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--features=" + Digits.TEST_IMAGES,
            "--labels=" + Digits.TEST_LABELS,
            "--loss=sparse-categorical-crossentropy",
            "--epsilon-1=1e-16");
    builder.command().addAll(List.of(options));
    return builder.command().stream().map(ShellLine::quoted).collect(Collectors.joining(" "));
  }

  private List<String> errorLines() throws IOException {
    return Files.readString(errors(), StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void whatIsLeftIsWritten() throws Exception {
    Path json = folder.resolve("run.json");
    Path chart = folder.resolve("chart.png");
    int exitCode =
        inNamespace(
            program(
                    "--export=" + disk.resolve("model"),
                    "--checkpoint=" + disk.resolve("checkpoints"),
                    "--json=" + json,
                    "--chart=" + chart)
                + "; code=$?; find '%s' -type f; exit $code".formatted(disk));
    assertEquals(2, exitCode, errorLines()::toString);
    List<String> lines = errorLines();
    assertEquals(2, lines.size(), lines::toString);
    assertTrue(lines.get(0).contains("the job goes on without"), lines::toString);
    assertTrue(lines.get(1).contains("cannot write the checkpoint '" + disk), lines::toString);
    assertTrue(lines.get(1).contains("Cannot export to '" + disk), lines::toString);
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(15, report.get("losses").size());
    assertTrue(report.get("export").isNull());
    assertTrue(Files.exists(chart));
    String output = Files.readString(folder.resolve("output"), StandardCharsets.UTF_8);
    assertFalse(output.contains("SavedModel: "), output);
    // Nothing is half-written: there is nothing but the lock.
    assertEquals(
        List.of(disk.resolve("checkpoints/.lock").toString()),
        output.lines().filter(line -> line.startsWith(disk.toString())).toList());
  }

  /** The first checkpoint fits, the next one does not: the job goes on from the first. */
  @Test
  void theCheckpointBeforeStaysWhole() throws Exception {
    Path saved = folder.resolve("saved");
    Path whole = folder.resolve("whole");
    String[] options = {"--epochs=2", "--checkpoint=" + disk.resolve("checkpoints")};
    int exitCode =
        inNamespace(
            "500k",
            program(options[0], options[1], "--checkpoint-every=20", "--export=" + whole)
                + "; code=$?; cp -r '%s' '%s'; exit $code"
                    .formatted(disk.resolve("checkpoints"), saved));
    assertEquals(2, exitCode, errorLines()::toString);
    assertTrue(errorLines().get(0).contains("ckpt-30': "), errorLines()::toString);
    try (Stream<Path> files = Files.list(saved)) {
      assertEquals(
          List.of(".lock", "checkpoint", "ckpt-20.data-00000-of-00001", "ckpt-20.index"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
    Path resumed = folder.resolve("resumed");
    int again =
        inNamespace(
            program(options[0], "--checkpoint=" + saved, "--resume", "--export=" + resumed));
    assertEquals(0, again, errorLines()::toString);
    assertEquals(List.of(), errorLines());
    String output = Files.readString(folder.resolve("output"), StandardCharsets.UTF_8);
    assertTrue(output.contains("ckpt-20"), output);
    assertEquals(
        -1, Files.mismatch(whole.resolve(VARIABLES), resumed.resolve(VARIABLES)), "not bit-equal");
  }

  /** A file that does not fit leaves the one before it as it was, and the model is written. */
  @ParameterizedTest
  @ValueSource(strings = {"--json", "--chart"})
  void aFileThatDoesNotFitIsNamed(String option) throws Exception {
    Path model = folder.resolve("model");
    Path file = disk.resolve("file");
    int exitCode =
        inNamespace(
            "{ echo before > '%s'; head -c 300000 /dev/zero > '%s' 2> /dev/null; "
                    .formatted(file, disk.resolve("filler"))
                + program(option + "=" + file, "--export=" + model)
                + "; code=$?; cat '%s'; ls -A '%s'; exit $code; }".formatted(file, disk));
    assertEquals(2, exitCode, errorLines()::toString);
    List<String> lines = errorLines();
    assertEquals(1, lines.size(), lines::toString);
    assertTrue(lines.get(0).contains(option + " '" + file + "': No space left"), lines::toString);
    assertTrue(Files.exists(model.resolve("saved_model.pb")));
    String output = Files.readString(folder.resolve("output"), StandardCharsets.UTF_8);
    assertTrue(output.endsWith("before\nfile\nfiller\n"), output);
  }

  @Test
  void aFullLogEndsNoJob() throws Exception {
    Path model = folder.resolve("model");
    int exitCode =
        inNamespace(
            "{ head -c 300000 /dev/zero > '%s' 2> /dev/null; ".formatted(disk.resolve("filler"))
                + "mkdir '%s'; }; ".formatted(disk.resolve("log"))
                + program("--log-dir=" + disk.resolve("log"), "--export=" + model));
    assertEquals(2, exitCode, errorLines()::toString);
    List<String> lines = errorLines();
    assertEquals(1, lines.size(), lines::toString);
    assertTrue(
        lines.get(0).contains("cannot write TensorBoard events to '" + disk.resolve("log") + "'"),
        lines::toString);
    assertTrue(Files.exists(model.resolve("saved_model.pb")));
  }

  @Test
  void aReadOnlyDiskIsNamedBeforeTraining() throws Exception {
    for (String option : List.of("--checkpoint", "--json", "--export", "--log-dir", "--chart")) {
      int exitCode =
          inNamespace(
              "mount -o remount,ro '%s' && ".formatted(disk)
                  + program(option + "=" + disk.resolve("new/x")));
      assertEquals(2, exitCode, errorLines()::toString);
      List<String> lines = errorLines();
      assertEquals(1, lines.size(), lines::toString);
      assertTrue(lines.get(0).contains(option), lines::toString);
      assertTrue(
          lines.get(0).contains("'" + disk + "' is no folder that can be written to"),
          lines::toString);
      assertEquals("", Files.readString(folder.resolve("output")));
    }
  }
}
