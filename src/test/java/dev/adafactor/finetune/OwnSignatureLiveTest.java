package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

/** A job on a signature that returns loss and gradients, beside the same in Python. */
@Tag("live")
class OwnSignatureLiveTest {
  private static final int BATCH = 8;
  private static final int LENGTH = 6;

  @TempDir static Path folder;
  private static JsonNode expected;
  private static int rows;

  @BeforeAll
  static void export() throws Exception {
    Python.run("training_signature.py", folder);
    expected = new JsonMapper().readTree(folder.resolve("expected.json").toFile());
    rows = expected.get("losses").size() * BATCH;
    NpyFiles.longs(
        folder.resolve("ids.npy"),
        Shape.of(rows, LENGTH),
        numbers("ids").mapToLong(JsonNode::asLong).toArray());
    NpyFiles.longs(
        folder.resolve("labels.npy"),
        Shape.of(rows),
        numbers("labels").mapToLong(JsonNode::asLong).toArray());
    float[] weights = new float[rows];
    for (int i = 0; i < rows; i++) {
      weights[i] = (float) expected.get("sample_weights").get(i).asDouble();
    }
    NpyFiles.floats(folder.resolve("weights.npy"), Shape.of(rows), weights);
  }

  private static Stream<JsonNode> numbers(String name) {
    return StreamSupport.stream(expected.get(name).spliterator(), false);
  }

  private static FineTuning.Builder job() {
    return FineTuning.builder(folder.resolve("model"))
        .signature("train")
        .features("ids", folder.resolve("ids.npy"))
        .labels(folder.resolve("labels.npy"))
        .batchSize(BATCH)
        .inFileOrder()
        .optimizer(graph -> Adafactor.builder(graph).learningRate(0.03).epsilon1(1e-16).build());
  }

  @Test
  void cannotBeDivided() {
    FineTuning job = job().mesh(Mesh.virtualCpus("batch=2")).build();
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, job::run);
    assertTrue(e.getMessage().contains("'train' computes its own gradients"), e::getMessage);
  }

  @Test
  void twentyStepsAreThoseOfPython() throws IOException {
    Path exported = folder.resolve("exported");
    FineTuningResult result =
        job().sampleWeights(folder.resolve("weights.npy")).export(exported).build().run();
    for (int step = 0; step < result.steps().size(); step++) {
      double loss = expected.get("losses").get(step).asDouble();
      assertEquals(loss, result.steps().get(step).loss(), 1e-5, "step " + step);
      assertTrue(result.steps().get(step).accuracy().isPresent());
    }
    Map<String, double[]> after = PlainArrays.weights(exported);
    after.forEach(
        (name, values) -> {
          JsonNode python = expected.get("after").get(name);
          for (int i = 0; i < values.length; i++) {
            assertEquals(python.get(i).asDouble(), values[i], 1e-4, name);
          }
        });
  }

  @Test
  void partsAndValidationWorkToo() throws IOException {
    FineTuningResult result =
        job()
            .sampleWeights(folder.resolve("weights.npy"))
            .validationSplit(0.2)
            .earlyStopping(EarlyStopping.patience(2))
            .epochs(2)
            .microBatchSize(4)
            .build()
            .run();
    assertEquals(
        result.epochs().get(result.bestEpoch().orElseThrow() - 1).validation(), result.after());
  }

  @Test
  void weightsThatItWantsAreMissed() {
    String message =
        assertThrows(IllegalArgumentException.class, () -> job().build().run()).getMessage();
    assertTrue(message.contains("sample weights are missing"), message);
    message =
        assertThrows(IllegalArgumentException.class, () -> job().classWeight(0, 2).build().run())
            .getMessage();
    assertTrue(message.contains("computes its own loss"), message);
  }
}
