package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.Elements;
import dev.adafactor.graph.VariableView;
import dev.adafactor.python.ModelSample;
import dev.adafactor.python.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * What models of tf_keras compute in training, in Java and in Python: half of them, but all for
 * {@code -Dlive.full=true}; {@code -Dlive.models=dense,masked} takes those alone.
 */
@Tag("live")
class TrainingLiveTest {
  @TempDir static Path folder;

  @TestFactory
  Stream<DynamicTest> models() throws Exception {
    Python.run("training.py", ModelSample.of(folder));
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".json")).sorted().toList()) {
        String name = file.getFileName().toString().replaceFirst("\\.json$", "");
        JsonNode expected = new ObjectMapper().readTree(file.toFile());
        Path model = folder.resolve(name);
        tests.add(
            DynamicTest.dynamicTest(name + " in inference", () -> inference(model, expected)));
        tests.add(
            DynamicTest.dynamicTest(
                name + " in training",
                () -> {
                  if (expected.get("refused").asBoolean()) {
                    assertThrows(
                        IllegalArgumentException.class,
                        () -> new Run(model, Mode.TRAINING, expected).close());
                  } else if (expected.get("random").asBoolean()) {
                    drawing(model, expected);
                  } else {
                    training(model, expected);
                  }
                }));
      }
    }
    return tests.stream();
  }

  private static void inference(Path saved, JsonNode expected) throws Exception {
    try (Run run = new Run(saved, Mode.INFERENCE, expected)) {
      run.compare(expected.get("inference"));
    }
  }

  /** Results, losses and gradients, and after two steps the statistics. */
  private static void training(Path saved, JsonNode expected) throws Exception {
    try (Run run = new Run(saved, Mode.TRAINING, expected)) {
      run.compare(expected.get("training"));
      run.update();
      run.compareVariables(expected.get("others"));
    }
  }

  /** The gradient is that of the very numbers that the forward pass drew. */
  private static void drawing(Path saved, JsonNode expected) throws Exception {
    try (Run run = new Run(saved, Mode.TRAINING, expected)) {
      double[] first = run.results(7, 1);
      assertArrayEquals(first, run.results(7, 1));
      // A crop has few places to be at: one other draw may well be the same.
      assertTrue(
          LongStream.range(2, 8).anyMatch(step -> !Arrays.equals(first, run.results(7, step))),
          "other steps draw the same");
      assertTrue(
          LongStream.range(8, 14).anyMatch(seed -> !Arrays.equals(first, run.results(seed, 1))),
          "other seeds draw the same");
      if (expected.get("exact").asBoolean()) {
        run.compareWithDifferences();
      }
    }
  }

  /** A model with the batch that it is run on. */
  private static final class Run implements AutoCloseable {
    private final TrainableModel model;
    private final ModelFunction function;
    private final Ops tf;
    private final List<ModelVariable> trainable;
    private final DataType type;
    private final double tolerance;
    private final List<Output<?>> gradients;
    private final Map<Output<?>, Tensor> feeds = new HashMap<>();
    private final Operand<? extends TNumber> losses;
    private final Operand<? extends TNumber> total;

    Run(Path saved, Mode mode, JsonNode expected) throws Exception {
      model = TrainableModel.load(saved, "serving_default", Optional.of(mode));
      function = model.training();
      tf = Ops.create(model.graph());
      tolerance = expected.get("tolerance").asDouble();
      trainable = TrainableModelTest.trainable(model);
      assertEquals(mode, model.mode());
      for (String output : function.outputs().keySet()) {
        function.requireGradients(output, trainable, UncheckedGradients.REFUSE);
      }
      type = function.outputs().values().iterator().next().dataType();
      for (Map.Entry<String, JsonNode> input : expected.get("inputs").properties()) {
        feeds.put(model.inputs().get(input.getKey()), tensor(input.getValue(), type));
      }
      assertEquals(model.inputs().size(), feeds.size());
      if (type == DataType.DT_DOUBLE) {
        losses = sum(TFloat64.class, function.losses());
        total = total(TFloat64.class, expected.get("cotangents"));
      } else {
        losses = sum(TFloat32.class, function.losses());
        total = total(TFloat32.class, expected.get("cotangents"));
      }
      Output<?>[] handles = trainable.stream().map(ModelVariable::handle).toArray(Output<?>[]::new);
      gradients = List.of(model.graph().addGradients(total.asOutput(), handles));
    }

    private <T extends TNumber> Operand<T> sum(Class<T> type, List<Output<?>> scalars) {
      Operand<T> sum = tf.dtypes.cast(tf.constant(0.0), type);
      for (Output<?> scalar : scalars) {
        sum = tf.math.add(sum, scalar.expect(type));
      }
      return sum;
    }

    private <T extends TNumber> Operand<T> total(Class<T> type, JsonNode cotangents) {
      List<Output<?>> parts = new ArrayList<>(function.losses());
      function
          .outputs()
          .forEach(
              (name, output) -> {
                try (Tensor values = tensor(cotangents.get(name), output.dataType())) {
                  Operand<T> product =
                      tf.math.mul(output.expect(type), tf.constantOf(type.cast(values)));
                  parts.add(tf.sum(tf.reshape(product, tf.array(-1)), tf.constant(0)).asOutput());
                }
              });
      return sum(type, parts);
    }

    private Session.Runner runner(long... seedAndStep) {
      Session.Runner runner = model.session().runner();
      feeds.forEach(runner::feed);
      if (seedAndStep.length > 0) {
        Tensor numbers = TInt64.vectorOf(seedAndStep);
        runner.feed(model.randomness().orElseThrow(), numbers);
      }
      return runner;
    }

    private double[] fetch(Session.Runner runner, Operand<?> tensor) {
      try (Result result = runner.fetch(tensor).run()) {
        return Elements.copy(result.get(0));
      }
    }

    double[] results(long seed, long step) {
      return function.outputs().values().stream()
          .flatMapToDouble(output -> Arrays.stream(fetch(runner(seed, step), output)))
          .toArray();
    }

    void update() {
      List<Op> updates = function.updates().stream().toList();
      assertEquals(1, updates.size());
      runner().addTarget(updates.get(0)).run();
    }

    void compare(JsonNode expected) {
      Session.Runner runner = runner().fetch(losses);
      function.outputs().values().forEach(runner::fetch);
      gradients.stream().filter(g -> !g.isClosed()).forEach(runner::fetch);
      try (Result result = runner.run()) {
        assertEquals(expected.get("outputs").size(), function.outputs().size());
        assertEquals(
            expected.get("losses").asDouble(),
            Elements.copy(result.get(0))[0],
            tolerance * Math.abs(expected.get("losses").asDouble()));
        int next = 1;
        for (String output : function.outputs().keySet()) {
          assertClose(expected.get("outputs").get(output), result.get(next++), tolerance, output);
        }
        double largest = 0;
        for (JsonNode gradient : expected.get("gradients")) {
          largest = Math.max(largest, largest(values(gradient)));
        }
        Iterator<JsonNode> expectedGradients = expected.get("gradients").iterator();
        for (int i = 0; i < gradients.size(); i++) {
          if (!gradients.get(i).isClosed()) {
            JsonNode gradient = expectedGradients.next();
            assertEquals(i, gradient.get("variable").asInt());
            // A bias before batch normalization has a gradient of nothing but rounding.
            assertArrayEquals(
                values(gradient),
                Elements.copy(result.get(next++)),
                tolerance * largest,
                trainable.get(i).name());
          }
        }
        assertFalse(expectedGradients.hasNext());
      }
    }

    void compareVariables(JsonNode expected) {
      for (int i = 0; i < model.variables().size(); i++) {
        JsonNode values = expected.get(Integer.toString(i));
        if (values != null) {
          ModelVariable variable = model.variables().get(i);
          try (Result result = model.session().runner().fetch(read(variable)).run()) {
            assertClose(values, result.get(0), tolerance, variable.name());
          }
        }
      }
    }

    /**
     * Along random directions, at the same seed and step. Models in float32 are linear in each
     * variable: differences are exact, however large.
     */
    void compareWithDifferences() {
      double[][] slopes = new double[trainable.size()][];
      for (int i = 0; i < slopes.length; i++) {
        slopes[i] = fetch(runner(7, 1), gradients.get(i));
      }
      Random random = new Random(1);
      double step = type == DataType.DT_DOUBLE ? 1e-5 : 0.5;
      double exactness = type == DataType.DT_DOUBLE ? 1e-6 : 1e-4;
      for (int i = 0; i < slopes.length; i++) {
        double[] direction = random.doubles(slopes[i].length, -1, 1).toArray();
        double expected = 0;
        for (int j = 0; j < direction.length; j++) {
          expected += direction[j] * slopes[i][j];
        }
        move(trainable.get(i), direction, step);
        double above = fetch(runner(7, 1), total)[0];
        move(trainable.get(i), direction, -2 * step);
        double below = fetch(runner(7, 1), total)[0];
        move(trainable.get(i), direction, step);
        assertEquals(
            expected,
            (above - below) / (2 * step),
            exactness * (1 + Math.abs(expected)),
            trainable.get(i).name());
      }
    }

    @SuppressWarnings("unchecked") // A resource has no type in Java.
    private static Operand<? extends TType> handle(ModelVariable variable) {
      return (Operand<? extends TType>) variable.handle();
    }

    private Operand<?> read(ModelVariable variable) {
      return VariableView.of(model.graph(), variable.handle()).read(tf);
    }

    private void move(ModelVariable variable, double[] direction, double by) {
      double[] change = Arrays.stream(direction).map(d -> d * by).toArray();
      try (TFloat64 values = TFloat64.tensorOf(variable.shape(), DataBuffers.of(change))) {
        Operand<TFloat64> constant = tf.constantOf(values);
        Operand<?> typed =
            type == DataType.DT_DOUBLE ? constant : tf.dtypes.cast(constant, TFloat32.class);
        model.session().runner().addTarget(tf.assignAddVariableOp(handle(variable), typed)).run();
      }
    }

    @Override
    public void close() {
      feeds.values().forEach(Tensor::close);
      model.close();
    }
  }

  private static Tensor tensor(JsonNode numbers, DataType type) {
    long[] sizes = new long[numbers.get("shape").size()];
    Arrays.setAll(sizes, i -> numbers.get("shape").get(i).asLong());
    double[] values = values(numbers);
    if (type == DataType.DT_DOUBLE) {
      return TFloat64.tensorOf(Shape.of(sizes), DataBuffers.of(values));
    }
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return TFloat32.tensorOf(Shape.of(sizes), DataBuffers.of(floats));
  }

  private static double[] values(JsonNode numbers) {
    double[] values = new double[numbers.get("values").size()];
    Arrays.setAll(values, i -> numbers.get("values").get(i).asDouble());
    return values;
  }

  private static double largest(double[] values) {
    return Arrays.stream(values).map(Math::abs).max().orElseThrow();
  }

  private static void assertClose(JsonNode expected, Tensor actual, double tolerance, String what) {
    double[] values = values(expected);
    double largest = largest(values);
    assertTrue(largest > 0, () -> what + " is zero: the case proves nothing");
    assertArrayEquals(values, Elements.copy(actual), tolerance * largest, what);
  }
}
