package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What TensorBoard reads of a job, beside what numpy computes for the same job of tf_keras by the
 * formulas of its update.
 */
@Tag("live")
class WatchingLiveTest {
  private static final int BATCH_SIZE = 64;
  private static final int STEPS = 22;
  private static final int EVERY = 5;
  private static final List<Integer> REPORTED = List.of(1, 5, 10, 15, 20);
  private static final int MOMENTS = 4;

  @TempDir static Path folder;

  private static JsonNode expected;
  private static JsonNode everyStep;
  private static JsonNode everyFive;

  @BeforeAll
  static void train() throws Exception {
    Path description =
        Files.writeString(
            folder.resolve("digits.json"),
            """
            {"model": "%s", "signature": "serving_default",
             "features": {"image": "%s"}, "labels": "%s",
             "loss": "sparse_categorical_crossentropy", "from_logits": false, "output": null,
             "batch_size": %d, "mode": "inference", "exclude": [], "numerics": "stable",
             "undetermined": null,
             "optimizer": {"learning_rate": 0.03, "epsilon_1": 1e-16, "weight_decay": 0.01}}
            """
                .formatted(
                    Digits.MODEL.toAbsolutePath(),
                    Digits.TRAIN_IMAGES.toAbsolutePath(),
                    Digits.TRAIN_LABELS.toAbsolutePath(),
                    BATCH_SIZE));
    PythonJob job = PythonJob.read(description);
    log(job, 1, folder.resolve("every-1"));
    log(job, EVERY, folder.resolve("every-5"));
    Python.run("watch_savedmodel.py", description, folder.resolve("expected.json"));
    expected = new JsonMapper().readTree(folder.resolve("expected.json").toFile());
    everyStep = read(folder.resolve("every-1"));
    everyFive = read(folder.resolve("every-5"));
  }

  private static void log(PythonJob job, int every, Path directory) throws IOException {
    try (TensorBoardLog log = new TensorBoardLog(directory)) {
      job.builder()
          .overwrite()
          .logVariables(VariableDetail.HISTOGRAMS)
          .logEvery(every)
          .build()
          .run(log);
    }
  }

  private static JsonNode read(Path log) throws IOException, InterruptedException {
    Path json = log.resolveSibling(log.getFileName() + ".json");
    Python.run("read_events.py", log, json);
    return new JsonMapper().readTree(json.toFile());
  }

  private static boolean isHistogram(String tag) {
    return tag.startsWith("adafactor_values/") || tag.startsWith("adafactor_changes/");
  }

  @Test
  void scalarsAreThoseOfTheFormulas() {
    int compared = 0;
    for (Map.Entry<String, JsonNode> tag : expected.properties()) {
      if (!isHistogram(tag.getKey())) {
        JsonNode actual = everyStep.get(tag.getKey());
        assertEquals(STEPS, actual.size(), tag.getKey());
        for (int i = 0; i < STEPS; i++) {
          double number = tag.getValue().get(i).get(1).doubleValue();
          assertEquals(tag.getValue().get(i).get(0), actual.get(i).get(0));
          assertEquals(number, actual.get(i).get(1).doubleValue(), 1e-4 * number, tag.getKey() + i);
          compared++;
        }
      }
    }
    assertTrue(compared >= STEPS * (2 + 4 * 8), "compared " + compared);
  }

  @Test
  void clippedIsTheShareSinceTheLastTime() {
    int clipped = 0;
    for (Map.Entry<String, JsonNode> tag : everyFive.properties()) {
      if (tag.getKey().startsWith("adafactor_clipped/")) {
        assertEquals(REPORTED, steps(tag.getValue(), 0));
        for (int i = 0; i < REPORTED.size(); i++) {
          double share =
              IntStream.range(i == 0 ? 0 : REPORTED.get(i - 1), REPORTED.get(i))
                  .mapToDouble(step -> expected.get(tag.getKey()).get(step).get(1).doubleValue())
                  .average()
                  .orElseThrow();
          assertEquals(share, tag.getValue().get(i).get(1).doubleValue(), 1e-6);
          clipped += share > 0 && share < 1 ? 1 : 0;
        }
      }
    }
    assertTrue(clipped > 0, "no variable was clipped in some of the steps");
  }

  @Test
  void summariesAreThoseOfAllVariables() {
    for (String name : List.of("alpha", "rms_update", "rms_variable")) {
      for (int i = 0; i < STEPS; i++) {
        List<Double> all = new ArrayList<>();
        for (Map.Entry<String, JsonNode> tag : everyStep.properties()) {
          if (tag.getKey().startsWith("adafactor_" + name + "/")) {
            all.add(tag.getValue().get(i).get(1).doubleValue());
          }
        }
        double[] sorted = all.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        int n = sorted.length;
        assertEquals(sorted[0], summary(name + "_min", i));
        assertEquals((sorted[(n - 1) / 2] + sorted[n / 2]) / 2, summary(name + "_median", i), 1e-6);
        assertEquals(sorted[n - 1], summary(name + "_max", i));
      }
    }
  }

  private static double summary(String name, int i) {
    return everyStep.get("adafactor/" + name).get(i).get(1).doubleValue();
  }

  @Test
  void histogramsAreThoseOfTheVariables() {
    int compared = 0;
    for (Map.Entry<String, JsonNode> tag : expected.properties()) {
      if (isHistogram(tag.getKey())) {
        for (int i = 0; i < STEPS; i++) {
          assertAlike(
              tag.getKey() + " " + i,
              tag.getValue().get(i).get(1),
              everyStep.get(tag.getKey()).get(i).get(1));
          compared++;
        }
      }
    }
    assertTrue(compared >= STEPS * 2 * 8, "compared " + compared);
  }

  private static void assertAlike(String what, JsonNode numpy, JsonNode histogram) {
    double[] counts = doubles(numpy.get(MOMENTS));
    double n = Arrays.stream(counts).sum();
    double scale = Math.max(Math.abs(numpy.get(0).doubleValue()), numpy.get(1).doubleValue());
    assertEquals(n, histogram.get("num").doubleValue(), what);
    assertEquals(
        numpy.get(0).doubleValue(), histogram.get("min").doubleValue(), 1e-4 * scale, what);
    assertEquals(
        numpy.get(1).doubleValue(), histogram.get("max").doubleValue(), 1e-4 * scale, what);
    assertEquals(
        numpy.get(2).doubleValue(), histogram.get("sum").doubleValue(), 1e-4 * n * scale, what);
    double squares = numpy.get(3).doubleValue();
    assertEquals(squares, histogram.get("sum_squares").doubleValue(), 1e-3 * squares, what);
    double[] actual = doubles(histogram.get("bucket"));
    assertEquals(counts.length, actual.length);
    // Rounding carries a few elements over the edge of a bucket.
    double apart = 0;
    for (int i = 0; i < counts.length; i++) {
      apart += actual[i] - counts[i];
      assertEquals(0, apart, 1 + 0.01 * n, what);
    }
  }

  private static double[] doubles(JsonNode numbers) {
    return IntStream.range(0, numbers.size())
        .mapToDouble(i -> numbers.get(i).doubleValue())
        .toArray();
  }

  /**
   * The first run dies four steps after its checkpoint; these steps are done twice, the last of an
   * epoch among them.
   */
  private static void trainInTwoRuns(Path directory) throws IOException {
    FineTuning job =
        Digits.job()
            .batchSize(BATCH_SIZE)
            .epochs(2)
            .validationSplit(0.2)
            .logVariables(VariableDetail.SCALARS)
            .logEvery(2)
            .checkpoint(folder.resolve("checkpoints"))
            .checkpointEvery(4)
            .resume()
            .build();
    TrainingListener dying =
        new TrainingListener() {
          @Override
          public void reported(UpdateReport report) {
            if (report.step() == 20) {
              throw new IllegalStateException("the end");
            }
          }
        };
    try (TensorBoardLog log = new TensorBoardLog(directory)) {
      assertThrows(IllegalStateException.class, () -> job.run(log, dying));
    }
    try (TensorBoardLog log = new TensorBoardLog(directory)) {
      job.run(log);
    }
  }

  private static List<Integer> steps(JsonNode tag, int index) {
    return IntStream.range(0, tag.size()).mapToObj(i -> tag.get(i).get(index).intValue()).toList();
  }

  @Test
  void aResumedJobIsShownAsOne() throws Exception {
    Path directory = folder.resolve("resumed");
    trainInTwoRuns(directory);
    int last = 2 * 17;
    List<Integer> all = IntStream.rangeClosed(1, last).boxed().toList();
    JsonNode events = read(directory);
    assertEquals(all, steps(events.get("loss"), 0));
    List<Integer> reported = all.stream().filter(step -> step == 1 || step % 2 == 0).toList();
    assertEquals(reported, steps(events.get("adafactor/rho"), 0));
    assertEquals(List.of(0, last), steps(events.get("validation_loss"), 0));
    for (String run : List.of("train", "validation")) {
      JsonNode epochs = read(directory.resolve(run));
      assertEquals(List.of(0, 1), steps(epochs.get("epoch_loss"), 0), run);
      assertEquals(List.of(0, 1), steps(epochs.get("epoch_accuracy"), 0), run);
    }
    Path json = folder.resolve("resumed-shown.json");
    Python.run("tensorboard_data.py", directory, json, "FAST", "loss");
    assertEquals(all, steps(new JsonMapper().readTree(json.toFile()).at("/data/loss"), 1));
  }

  @ParameterizedTest
  @ValueSource(strings = {"FAST", "SLOW"})
  void tensorBoardItselfShowsThem(String reader) throws Exception {
    String histogram = "adafactor_changes/dense/kernel";
    Path json = folder.resolve(reader + ".json");
    Python.run(
        "tensorboard_data.py",
        folder.resolve("every-5"),
        json,
        reader,
        "loss",
        "adafactor/clipped",
        histogram);
    JsonNode shown = new JsonMapper().readTree(json.toFile()).get("data");
    assertEquals(STEPS, shown.get("loss").size());
    assertEquals(REPORTED.size(), shown.get("adafactor/clipped").size());
    JsonNode events = everyFive.get(histogram);
    assertEquals(REPORTED.size(), events.size());
    for (int i = 0; i < REPORTED.size(); i++) {
      JsonNode event = shown.get(histogram).get(i);
      assertEquals(events.get(i).get(0), event.get(1));
      double sum = 0;
      for (JsonNode bucket : event.get(2)) {
        assertTrue(bucket.get(0).doubleValue() <= bucket.get(1).doubleValue());
        sum += bucket.get(2).doubleValue();
      }
      assertEquals(events.get(i).get(1).get("num").doubleValue(), sum);
    }
  }
}
