package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

/**
 * The bundled job beside the same job in Python's tf_keras, and what Python makes of the export.
 */
@Tag("live")
class FineTuningLiveTest {
  private static final int STEPS = 20;
  private static final String OPTIMIZER = "{\"learning_rate\": 0.03, \"epsilon_1\": 1e-16}";
  private static final String JOB =
      """
      {"model": "%s", "signature": "serving_default",
       "features": {"image": "digits-image.npy"}, "labels": "digits-labels.npy",
       "loss": "sparse_categorical_crossentropy", "from_logits": false, "output": null,
       "batch_size": 32, "mode": "inference", "optimizer": %s, "exclude": [],
       "numerics": "stable", "undetermined": null}
      """
          .formatted(Digits.MODEL.toAbsolutePath(), OPTIMIZER);

  @TempDir static Path folder;

  private static PythonJob job;
  private static FineTuningResult result;

  /** The first 20 batches of the bundled job. */
  @BeforeAll
  static void train() throws Exception {
    JsonNode settings = new JsonMapper().readTree(Path.of("savedmodels", "digits.json").toFile());
    assertEquals(0.03, settings.get("learning-rate").doubleValue());
    int batchSize = settings.get("batch-size").intValue();
    assertEquals(32, batchSize);
    long seed = settings.get("seed").longValue();
    int examples = (int) NpyFile.open(Digits.TRAIN_IMAGES).rows();
    List<int[]> batches = BatchOrder.shuffled(examples, batchSize, seed).epoch(0).subList(0, STEPS);
    ofBatches(batches, Digits.TRAIN_IMAGES, "digits-image.npy");
    ofBatches(batches, Digits.TRAIN_LABELS, "digits-labels.npy");
    job = PythonJob.read(Files.writeString(folder.resolve("digits.json"), JOB));
    try (TensorBoardLog events = new TensorBoardLog(folder.resolve("log"))) {
      result = job.builder().build().run(events);
    }
    PythonJob.trainInPython(List.of(job));
    PythonJob.checkInPython(List.of(job));
    assertEquals(STEPS, result.steps().size());
    FineTuningResult bundled =
        Digits.job()
            .batchSize(batchSize)
            .seed(seed)
            .optimizer(graph -> Adafactor.fromConfig(graph, OPTIMIZER).build())
            .build()
            .run();
    for (int step = 0; step < STEPS; step++) {
      assertEquals(bundled.steps().get(step).loss(), result.steps().get(step).loss(), 1e-5);
    }
  }

  private static void ofBatches(List<int[]> batches, Path data, String name) throws IOException {
    NpyFile file = NpyFile.open(data);
    int[] rows = batches.stream().flatMapToInt(Arrays::stream).toArray();
    ByteBuffer raw = ByteBuffer.allocate(rows.length * file.rowElements() * file.type().size());
    for (int row : rows) {
      file.copyRow(row, raw);
    }
    long[] shape = file.shape().asArray();
    shape[0] = rows.length;
    String descr = file.type().kind() == NpyType.Kind.FLOAT ? "<f4" : "<i4";
    Files.write(folder.resolve(name), NpyFiles.bytes(descr, false, Shape.of(shape), raw.array()));
  }

  @Test
  @Tag("newest")
  void staysWithTfKeras() throws Exception {
    job.assertStaysWithTfKeras(
        result.steps().stream().mapToDouble(TrainingListener.Step::loss).toArray());
  }

  @Test
  @Tag("newest")
  void pythonPredictsWhatJavaPredicts() throws Exception {
    job.assertPythonPredictsTheSame();
  }

  @Test
  void tensorBoardReadsTheEvents() throws Exception {
    Path json = folder.resolve("events.json");
    Python.run("read_events.py", folder.resolve("log"), json);
    JsonNode tags = new JsonMapper().readTree(json.toFile());
    for (String tag : List.of("loss", "accuracy", "learning_rate")) {
      assertEquals(STEPS, tags.get(tag).size(), tag);
    }
    for (TrainingListener.Step step : result.steps()) {
      JsonNode event = tags.get("loss").get((int) step.number() - 1);
      assertEquals(step.number(), event.get(0).longValue());
      assertEquals((float) step.loss(), event.get(1).floatValue());
    }
  }
}
