package dev.adafactor.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.JavaProcess;
import dev.adafactor.cli.Main;
import dev.adafactor.finetune.Loss;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A model of BERT-base's size: 110 million parameters. Takes up to ten minutes and 4 GiB.
 *
 * <pre>{@code
 * mvn -q test -P live -Dpython=PYTHON -Dlive.full=true -Dtest=BertSizeLiveTest
 * }</pre>
 */
@Tag("live")
class BertSizeLiveTest {
  private static final int STEPS = 10;

  /** They are slow, and after the second the memory grows no more. */
  private static final int PYTHON_STEPS = 3;

  private static final int BATCH_SIZE = 8;
  private static final long MOST_BYTES = 16L << 30;

  @TempDir Path folder;

  @Test
  void takesNoMoreMemoryThanTfKeras() throws Exception {
    assumeTrue(Boolean.getBoolean("live.full"), "-Dlive.full=true runs it");
    System.out.print(Python.run("workloads.py", "bert", folder));
    Path exported = folder.resolve("exported");
    Path json = folder.resolve("result.json");
    long peak = peakOfProgram(exported, json);
    JsonNode result = new JsonMapper().readTree(json.toFile());
    assertEquals(STEPS, result.get("losses").size());
    JsonNode timings = result.get("timings");
    print(
        "Java",
        STEPS,
        timings.get("load_s").asDouble() + timings.get("build_s").asDouble(),
        timings.get("train_s").asDouble(),
        timings.get("export_s").asDouble(),
        peak);

    // From the export, which tf_keras has to load for it.
    try (TfKerasTraining peer =
        new TfKerasTraining(
            folder,
            "--model",
            exported,
            "--batch-size",
            BATCH_SIZE,
            "--export",
            folder.resolve("python"))) {
      double seconds = peer.run(PYTHON_STEPS);
      JsonNode python = peer.finish();
      print(
          "Python",
          PYTHON_STEPS,
          python.get("load_s").asDouble(),
          seconds,
          python.get("export_s").asDouble(),
          python.get("peak_bytes").asLong());
      assertTrue(Double.isFinite(python.get("loss").asDouble()));
      assertTrue(peak < MOST_BYTES, () -> peak + " bytes");
      assertTrue(
          peak <= python.get("peak_bytes").asLong(), () -> peak + " bytes; tf_keras: " + python);
    }
  }

  private static void print(
      String who, int steps, double load, double train, double export, long peakBytes) {
    System.out.printf(
        "%-6s load %.1f s, %d steps %.1f s (the first included), export %.1f s, peak %.2f GiB%n",
        who, load, steps, train, export, peakBytes / 0x1p30);
  }

  /** Runs {@code fine-tune} in a JVM of its own and returns the most memory that it ever held. */
  private long peakOfProgram(Path exported, Path json) throws IOException, InterruptedException {
    ProcessBuilder builder =
        JavaProcess.builder(
            List.of(JavaProcess.OPTIMIZING),
            Main.class,
            "fine-tune",
            "--model",
            folder.resolve("model"));
    List<String> command = builder.command();
    for (String input : Files.readAllLines(folder.resolve("inputs.txt"))) {
      command.addAll(List.of("--features", input + "=" + folder.resolve(input + ".npy")));
    }
    command.addAll(List.of("--labels", folder.resolve("labels.npy").toString()));
    command.addAll(List.of("--loss", Loss.SPARSE_CATEGORICAL_CROSSENTROPY.toString()));
    command.addAll(List.of("--from-logits", "--batch-size", Integer.toString(BATCH_SIZE)));
    command.addAll(List.of("--learning-rate", "1e-3", "--epsilon-1", "1e-16"));
    command.addAll(List.of("--export", exported.toString(), "--json", json.toString()));
    Path log = folder.resolve("log.txt");
    Process process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    long peak = 0;
    while (!process.waitFor(200, TimeUnit.MILLISECONDS)) {
      peak = Math.max(peak, PeakMemory.of(process.toHandle()));
    }
    assertEquals(0, process.exitValue(), () -> read(log));
    return peak;
  }

  private static String read(Path log) {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
