package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Jobs of many kinds whose processes are killed at random moments, and which are resumed each time:
 * a sample of them, but for {@code -Dlive.full=true}.
 */
@Tag("live")
class KillLiveTest {
  private static final int SIGKILL = 128 + 9;
  private static final boolean FULL = Boolean.getBoolean("live.full");
  private static final int KILLS = FULL ? 7 : 3;
  private static final int SAMPLE = 2;
  private static final long SEED = Long.getLong("live.seed", 1);

  @TempDir static Path models;
  @TempDir Path folder;

  /** What a job is of, beside what all of them are. */
  private enum Job {
    SCHEDULE_AND_AVERAGES_THAT_OVERWRITE,
    PARTS_OF_BATCHES_AND_EARLY_STOPPING,
    SHARDS_AND_WEIGHTS,
    RANDOM_LAYERS,
    NUMERICS_OF_TF_KERAS,
    FLOAT16,
    COMPILED,
    AVERAGES_AND_VALIDATION;

    List<String> options() throws IOException {
      return switch (this) {
        case SCHEDULE_AND_AVERAGES_THAT_OVERWRITE -> of(onDigits(), "--optimizer=" + optimizer());
        case PARTS_OF_BATCHES_AND_EARLY_STOPPING ->
            of(
                onDigits(),
                "--micro-batch-size=10",
                "--validation-split=0.2",
                "--early-stopping=10000",
                "--use-ema",
                "--learning-rate=0.03");
        case SHARDS_AND_WEIGHTS ->
            of(
                on("noisy"),
                "--mode=inference",
                "--sample-weights=" + models.resolve("weights.npy"),
                "--class-weight=3=2.5",
                "--clipnorm=0.5");
        case RANDOM_LAYERS -> of(on("noisy"), "--mode=training", "--weight-decay=0.001");
        case NUMERICS_OF_TF_KERAS ->
            of(onDigits(), "--numerics=tf_keras", "--epsilon-1=1e-16", "--learning-rate=0.03");
        case FLOAT16 -> of(on("half"), "--learning-rate=0.05", "--use-ema");
        case COMPILED -> of(onDigits(), "--jit-compile=always", "--learning-rate=0.03");
        case AVERAGES_AND_VALIDATION ->
            of(onDigits(), "--use-ema", "--learning-rate=0.03", "--validation-split=0.1");
      };
    }

    private static List<String> of(List<String> some, String... more) {
      return Stream.concat(some.stream(), Stream.of(more)).toList();
    }

    private static List<String> onDigits() {
      return List.of(
          "--model=" + Digits.MODEL,
          "--features=" + Digits.TRAIN_IMAGES,
          "--labels=" + Digits.TRAIN_LABELS,
          "--epochs=" + (FULL ? 60 : 20));
    }

    private static List<String> on(String model) {
      return List.of(
          "--model=" + models.resolve(model),
          "--features=" + models.resolve("x"),
          "--labels=" + models.resolve("labels.npy"),
          "--epochs=" + (FULL ? 250 : 80));
    }

    private static Path optimizer() throws IOException {
      return Files.writeString(
          models.resolve("optimizer.json"),
          """
          {"learning_rate": {"class_name": "CosineDecayRestarts",
                             "config": {"initial_learning_rate": 0.05, "first_decay_steps": 300}},
           "use_ema": true, "ema_momentum": 0.9, "ema_overwrite_frequency": 7, "weight_decay": 0.001}
          """);
    }
  }

  static List<Job> jobs() {
    List<Job> jobs = new ArrayList<>(List.of(Job.values()));
    if (!FULL) {
      Collections.shuffle(jobs, new Random(SEED));
    }
    return FULL ? jobs : jobs.subList(0, SAMPLE);
  }

  @BeforeAll
  static void export() throws Exception {
    Python.run("export_resumed.py", models);
  }

  private Process start(Job job, String name, String... options) throws IOException {
    ProcessBuilder builder =
        JavaProcess.builder(
            Main.class,
            "fine-tune",
            "--loss=sparse-categorical-crossentropy",
            "--export=" + folder.resolve(name),
            "--log-dir=" + folder.resolve(name + "-log"),
            "--json=" + folder.resolve(name + ".json"));
    builder.command().addAll(job.options());
    builder.command().addAll(List.of(options));
    return builder
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("output").toFile())
        .start();
  }

  private void end(Process process) throws Exception {
    assertTrue(process.waitFor(10, TimeUnit.MINUTES));
    assertEquals(0, process.exitValue(), () -> output());
  }

  private String output() {
    try {
      return Files.readString(folder.resolve("output"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private byte[] variables(String export) throws IOException {
    return Files.readAllBytes(
        folder.resolve(export).resolve("variables/variables.data-00000-of-00001"));
  }

  private JsonNode report(String name) throws IOException {
    return new JsonMapper().readTree(folder.resolve(name + ".json").toFile());
  }

  @ParameterizedTest
  @MethodSource("jobs")
  void endsAsIfNeverKilled(Job job) throws Exception {
    Random random = new Random(SEED);
    end(start(job, "whole"));
    // With checkpoints it takes longer: it is not done before it was killed for the last time.
    int latest = (int) (report("whole").at("/timings/train_s").doubleValue() * 1000 / KILLS);
    Path checkpoints = folder.resolve("checkpoints");
    String[] options = {
      "--checkpoint=" + checkpoints, "--keep=2", "--resume", "--overwrite", "--checkpoint-every=3"
    };
    int cutOff = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Process process = start(job, "resumed", options);
      // There is something to go on from in the end.
      boolean isLast = kill == KILLS - 1;
      while (process.isAlive()
          && !(isLast
              ? Files.exists(checkpoints.resolve("checkpoint"))
              : output().contains("Training "))) {
        Thread.sleep(5);
      }
      Thread.sleep(random.nextInt(latest));
      process.destroyForcibly();
      assertTrue(process.waitFor(1, TimeUnit.MINUTES));
      assertEquals(SIGKILL, process.exitValue(), this::output);
      if (random.nextInt(4) == 0 && cutOffNewest(checkpoints, random)) {
        cutOff++;
      }
    }
    options[options.length - 1] = "--checkpoint-every=500";
    end(start(job, "resumed", options));
    assertTrue(output().contains("Going on from"), this::output);
    assertArrayEquals(variables("whole"), variables("resumed"), "seed " + SEED);
    for (String metric : List.of("epochs", "after")) {
      assertEquals(
          report("whole").get("metrics").get(metric), report("resumed").get("metrics").get(metric));
    }
    assertTheSameCurves();
    System.out.printf(
        "%s: %d kills, %d cut-off checkpoints, seed %d: bit-equal%n", job, KILLS, cutOff, SEED);
  }

  /** Of the events that killed processes left, and of the last one's. */
  private void assertTheSameCurves() throws Exception {
    List<Path> runs = new ArrayList<>();
    for (String run : List.of("", "train", "validation")) {
      if (Files.exists(folder.resolve("whole-log").resolve(run))) {
        runs.add(Path.of(run));
      }
    }
    List<Path> files = new ArrayList<>();
    for (Path run : runs) {
      for (String log : List.of("whole-log", "resumed-log")) {
        files.add(folder.resolve(log).resolve(run));
        files.add(folder.resolve(log + run + ".json"));
      }
    }
    Python.run("read_events.py", files.toArray());
    for (int i = 0; i < files.size(); i += 4) {
      assertTheSame(events(files.get(i + 1)), events(files.get(i + 3)));
    }
    JsonNode steps = events(files.get(1)).get("loss");
    assertEquals(
        IntStream.rangeClosed(1, steps.size()).boxed().toList(),
        IntStream.range(0, steps.size()).mapToObj(i -> steps.get(i).get(0).intValue()).toList());
  }

  private static JsonNode events(Path file) throws IOException {
    return new JsonMapper().readTree(file.toFile());
  }

  private static void assertTheSame(JsonNode whole, JsonNode resumed) {
    assertFalse(whole.isEmpty());
    for (String tag : (Iterable<String>) whole::fieldNames) {
      // The share is one of those steps that the process itself has done.
      if (!tag.equals("adafactor/clipped")) {
        assertEquals(whole.get(tag), resumed.get(tag), tag);
      }
    }
  }

  /** As a power cut may leave it, where there is another one to go on from. */
  private static boolean cutOffNewest(Path checkpoints, Random random) throws IOException {
    if (Files.notExists(checkpoints)) {
      return false;
    }
    List<Path> data;
    try (Stream<Path> files = Files.list(checkpoints)) {
      data =
          files
              .filter(file -> file.toString().contains(".data-"))
              .sorted(Comparator.comparingInt(KillLiveTest::step))
              .toList();
    }
    if (data.size() < 2) {
      return false;
    }
    try (FileChannel newest =
        FileChannel.open(data.get(data.size() - 1), StandardOpenOption.WRITE)) {
      newest.truncate(random.nextInt((int) newest.size()));
    }
    return true;
  }

  private static int step(Path data) {
    return Integer.parseInt(data.getFileName().toString().replaceAll("ckpt-(\\d+)\\..*", "$1"));
  }
}
