package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.finetune.Objective.OutputKind;
import dev.adafactor.python.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** Weighted losses beside what tf_keras's {@code fit} reports. */
@Tag("live")
class ObjectiveLiveTest {
  private static final String CASES =
      """
      [{"loss": "sparse_categorical_crossentropy", "shape": [6, 4], "weights": [6], "class_weight": {}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 4], "weights": [6, 1], "class_weight": {}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 4], "weights": null,
        "class_weight": {"0": 1, "1": 2, "2": 0, "3": 0.5}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 4], "weights": [6],
        "class_weight": {"0": 1, "1": 2, "2": 0, "3": 0.5}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 5, 4], "weights": [6], "class_weight": {}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 5, 4], "weights": [6, 5], "class_weight": {}},
       {"loss": "sparse_categorical_crossentropy", "shape": [6, 5, 3, 4], "weights": [6, 5], "class_weight": {}},
       {"loss": "categorical_crossentropy", "shape": [6, 4], "weights": [6],
        "class_weight": {"0": 1, "1": 2, "2": 0, "3": 0.5}},
       {"loss": "categorical_crossentropy", "shape": [6, 5, 4], "weights": [6, 5],
        "class_weight": {"0": 1, "1": 2, "2": 0, "3": 0.5}},
       {"loss": "binary_crossentropy", "shape": [6, 1], "weights": [6], "class_weight": {"0": 3, "1": 2}},
       {"loss": "binary_crossentropy", "shape": [6, 3], "weights": [6], "class_weight": {}},
       {"loss": "mean_squared_error", "shape": [6, 1], "weights": [6], "class_weight": {}},
       {"loss": "mean_squared_error", "shape": [6, 5, 2], "weights": [6], "class_weight": {}},
       {"loss": "mean_squared_error", "shape": [6, 5, 2], "weights": [6, 5], "class_weight": {}}]
      """;

  @TempDir Path folder;

  private static Shape shape(JsonNode node) {
    List<Long> sizes = new ArrayList<>();
    for (JsonNode at = node; at.isArray(); at = at.get(0)) {
      sizes.add((long) at.size());
    }
    return Shape.of(sizes.stream().mapToLong(Long::longValue).toArray());
  }

  private static void flatten(JsonNode node, List<Double> values) {
    if (node.isArray()) {
      node.forEach(element -> flatten(element, values));
    } else {
      values.add(node.doubleValue());
    }
  }

  private static Tensor tensor(JsonNode node, DataType dtype, Shape shape) {
    List<Double> values = new ArrayList<>();
    flatten(node, values);
    if (dtype == DataType.DT_INT64) {
      return TInt64.tensorOf(
          shape, DataBuffers.of(values.stream().mapToLong(Double::longValue).toArray()));
    }
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i).floatValue();
    }
    return TFloat32.tensorOf(shape, DataBuffers.of(floats));
  }

  private static double loss(JsonNode test) {
    Map<Integer, Double> classWeights = new HashMap<>();
    test.get("class_weight")
        .properties()
        .forEach(
            weight ->
                classWeights.put(Integer.valueOf(weight.getKey()), weight.getValue().asDouble()));
    JsonNode weights = test.get("sample_weights");
    Shape predictions = shape(test.get("predictions"));
    Optional<Shape> weightShape = weights.isNull() ? Optional.empty() : Optional.of(shape(weights));
    try (Graph graph = new Graph();
        Session session = new Session(graph);
        Tensor output = tensor(test.get("predictions"), DataType.DT_FLOAT, predictions)) {
      Ops tf = Ops.create(graph);
      Placeholder<TFloat32> placeholder =
          tf.placeholder(TFloat32.class, Placeholder.shape(predictions.tail().prepend(-1)));
      Objective objective =
          Objective.of(
              tf,
              Loss.of(test.get("loss").textValue()),
              OutputKind.PROBABILITIES,
              "out",
              placeholder.asOutput(),
              new Weighting(weightShape, classWeights),
              List.of());
      Session.Runner runner = session.runner().feed(placeholder, output).fetch(objective.loss());
      runner.feed(
          objective.labels(),
          tensor(test.get("labels"), objective.labels().dataType(), shape(test.get("labels"))));
      objective
          .sampleWeights()
          .ifPresent(
              input ->
                  runner.feed(
                      input,
                      tensor(
                          weights,
                          DataType.DT_FLOAT,
                          shape(weights).take(input.shape().numDimensions()))));
      try (Result result = runner.run()) {
        return ((TFloat32) result.get(0)).getFloat();
      }
    }
  }

  @Test
  void weighsAsFitDoes() throws Exception {
    Path out = folder.resolve("out.json");
    Python.run("weighted_losses.py", Files.writeString(folder.resolve("cases.json"), CASES), out);
    JsonNode cases = new JsonMapper().readTree(out.toFile());
    assertEquals(14, cases.size());
    for (JsonNode test : cases) {
      String what =
          "%s %s, weights %s %s"
              .formatted(
                  test.get("loss"),
                  test.get("shape"),
                  test.get("weights"),
                  test.get("class_weight"));
      double expected = test.get("value").doubleValue();
      assertEquals(expected, loss(test), 1e-6 * Math.max(1, Math.abs(expected)), what);
    }
  }
}
