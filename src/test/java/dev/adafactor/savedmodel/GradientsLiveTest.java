package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.python.ModelSample;
import dev.adafactor.python.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.types.TFloat32;

/** Gradients of Python's models, in Java and by tf.GradientTape. */
@Tag("live")
class GradientsLiveTest {
  @TempDir static Path folder;

  @TestFactory
  Stream<DynamicTest> operations() throws Exception {
    Set<String> untested =
        Stream.concat(TrustedGradients.operations(), GradientRules.operations().stream())
            .collect(Collectors.toCollection(TreeSet::new));
    DynamicTest complete =
        DynamicTest.dynamicTest(
            "every operation with a gradient was compared", () -> assertEquals(Set.of(), untested));
    Path models = Files.createDirectory(folder.resolve("operations"));
    Python.run("gradients.py", models);
    return Stream.concat(tests(models, untested), Stream.of(complete));
  }

  @TestFactory
  Stream<DynamicTest> layers() throws Exception {
    Path models = Files.createDirectory(folder.resolve("layers"));
    Python.run("layers.py", ModelSample.of(models));
    return tests(models, new TreeSet<>());
  }

  private static Stream<DynamicTest> tests(Path models, Set<String> untested) throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> files = Files.list(models)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".json")).sorted().toList()) {
        String name = file.getFileName().toString().replaceFirst("\\.json$", "");
        tests.add(
            DynamicTest.dynamicTest(name, () -> compare(file, models.resolve(name), untested)));
      }
    }
    return tests.stream();
  }

  private static void compare(Path file, Path saved, Set<String> untested) throws Exception {
    JsonNode expected = new ObjectMapper().readTree(file.toFile());
    try (TrainableModel model = TrainableModel.load(saved, "serving_default")) {
      if (expected.get("refused").asBoolean()) {
        assertThrows(
            IllegalArgumentException.class, () -> TrainableModelTest.requireGradients(model, "y"));
        return;
      }
      TrainableModelTest.requireGradients(model, "y");
      Output<?> y = model.training().outputs().get("y");
      List<float[]> gradients = new ArrayList<>();
      List<Output<?>> handles = new ArrayList<>();
      for (JsonNode gradient : expected.get("gradients")) {
        String name = gradient.get("variable").asText();
        gradients.add(floats(gradient.get("values")));
        handles.add(
            model.variables().stream()
                .filter(v -> v.name().equals(name))
                .findFirst()
                .orElseThrow()
                .handle());
      }
      double tolerance = expected.get("tolerance").asDouble();
      try (TFloat32 x = tensor(expected.get("x"));
          TFloat32 cotangent = tensor(expected.get("cotangent"))) {
        Output<?> dy = Ops.create(model.graph()).constant(cotangent).asOutput();
        Output<?>[] results =
            model
                .graph()
                .addGradients(
                    null,
                    new Output<?>[] {y},
                    handles.toArray(Output<?>[]::new),
                    new Output<?>[] {dy});
        var runner = model.session().runner().feed(model.inputs().get("x"), x).fetch(y);
        for (Output<?> result : results) {
          runner.fetch(result);
        }
        try (Result fetched = runner.run()) {
          assertClose(
              floats(expected.get("y").get("values")), (TFloat32) fetched.get(0), tolerance, "y");
          for (int i = 0; i < results.length; i++) {
            assertClose(
                gradients.get(i), (TFloat32) fetched.get(i + 1), tolerance, "gradient " + i);
          }
        }
      }
      model.training().gradientPath("y", TrainableModelTest.trainable(model)).stream()
          .map(NodeDef::getOp)
          .forEach(untested::remove);
      model
          .graph()
          .operations()
          .forEachRemaining(
              op -> {
                if (op.name().startsWith("trainable/")
                    && (op.name().contains("/forward")
                        || TrustedGradients.blocks(
                            NodeDef.newBuilder().setOp(op.type()).build()))) {
                  untested.remove(op.type());
                }
              });
    }
  }

  private static void assertClose(
      float[] expected, TFloat32 tensor, double tolerance, String what) {
    float[] actual = new float[expected.length];
    assertEquals(expected.length, tensor.size(), what);
    tensor.copyTo(DataBuffers.of(actual, false, false));
    double largest = 0;
    for (float value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertTrue(largest > 0, () -> what + " is zero: the case proves nothing");
    assertArrayEquals(expected, actual, (float) (tolerance * largest), what);
  }

  private static TFloat32 tensor(JsonNode numbers) {
    long[] shape =
        StreamSupport.stream(numbers.get("shape").spliterator(), false)
            .mapToLong(JsonNode::asLong)
            .toArray();
    return TFloat32.tensorOf(Shape.of(shape), DataBuffers.of(floats(numbers.get("values"))));
  }

  private static float[] floats(JsonNode values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values.get(i).asDouble();
    }
    return floats;
  }
}
