package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TType;

/**
 * The bundled job beside the same job in Python's tf_keras, and what Python makes of the export.
 */
@Tag("live")
class FineTuningLiveTest {
  private static final int STEPS = 20;
  private static final String OPTIMIZER = "{\"learning_rate\": 0.03, \"epsilon_1\": 1e-16}";

  @TempDir static Path folder;

  private static List<int[]> batches;
  private static Path exported;
  private static FineTuningResult result;

  /** The first 20 batches of the bundled job. */
  @BeforeAll
  static void train() throws IOException {
    JsonNode settings = new JsonMapper().readTree(Path.of("savedmodels", "digits.json").toFile());
    assertEquals(0.03, settings.get("learning-rate").doubleValue());
    int batchSize = settings.get("batch-size").intValue();
    long seed = settings.get("seed").longValue();
    int examples = (int) NpyFile.open(Digits.TRAIN_IMAGES).rows();
    batches = BatchOrder.shuffled(examples, batchSize, seed).epoch(0).subList(0, STEPS);
    exported = folder.resolve("exported");
    Path log = folder.resolve("log");
    try (TensorBoardLog events = new TensorBoardLog(log)) {
      result =
          FineTuning.builder(Digits.MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
              .features(ofBatches(Digits.TRAIN_IMAGES, "images.npy"))
              .labels(ofBatches(Digits.TRAIN_LABELS, "labels.npy"))
              .batchSize(batchSize)
              .inFileOrder()
              .optimizer(graph -> Adafactor.fromConfig(graph, OPTIMIZER).build())
              .export(exported)
              .build()
              .run(events);
    }
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

  private static Path ofBatches(Path data, String name) throws IOException {
    NpyFile file = NpyFile.open(data);
    int[] rows = batches.stream().flatMapToInt(Arrays::stream).toArray();
    ByteBuffer raw = ByteBuffer.allocate(rows.length * file.rowElements() * file.type().size());
    for (int row : rows) {
      file.copyRow(row, raw);
    }
    long[] shape = file.shape().asArray();
    shape[0] = rows.length;
    String descr = file.type().kind() == NpyType.Kind.FLOAT ? "<f4" : "<i4";
    return Files.write(
        folder.resolve(name), NpyFiles.bytes(descr, false, Shape.of(shape), raw.array()));
  }

  @Test
  void staysWithTfKeras() throws Exception {
    long[] rows = batches.stream().flatMapToInt(Arrays::stream).asLongStream().toArray();
    Path order = folder.resolve("batches.npy");
    NpyFiles.longs(order, Shape.of(STEPS, rows.length / STEPS), rows);
    Path out = folder.resolve("python.npz");
    Python.run(
        "train_savedmodel.py",
        "--model",
        Digits.MODEL,
        "--features",
        Digits.TRAIN_IMAGES,
        "--labels",
        Digits.TRAIN_LABELS,
        "--batches",
        order,
        "--optimizer",
        Files.writeString(folder.resolve("optimizer.json"), OPTIMIZER),
        "--out",
        out);
    Map<String, double[]> python = arrays(out);
    double worstLoss = 0;
    for (int step = 0; step < STEPS; step++) {
      double difference = result.steps().get(step).loss() - python.get("losses")[step];
      worstLoss = Math.max(worstLoss, Math.abs(difference));
    }
    Map<String, double[]> java = weights(exported);
    double worstWeights = 0;
    for (Map.Entry<String, double[]> variable : java.entrySet()) {
      double[] before = python.get("before/" + variable.getKey());
      double[] after = python.get("after/" + variable.getKey());
      worstWeights =
          Math.max(worstWeights, distance(variable.getValue(), after) / distance(after, before));
    }
    System.out.printf(
        "20 steps beside tf_keras: losses differ by at most %.2e, weights by %.4f%% of the way%n",
        worstLoss, 100 * worstWeights);
    assertEquals(8, java.size());
    assertTrue(worstLoss < 1e-4, "losses differ by " + worstLoss);
    assertTrue(worstWeights < 0.01, "weights differ by " + worstWeights + " of the way");
  }

  static double distance(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum);
  }

  @Test
  void pythonPredictsWhatJavaPredicts() throws Exception {
    assertPythonPredicts(exported, Digits.TEST_IMAGES, Set.of("saved_model", "keras"));
  }

  @Test
  void pythonLoadsOtherModelsToo() throws Exception {
    Path models = Files.createDirectory(folder.resolve("models"));
    Python.run("export_models.py", models);
    Map<String, Set<String>> loaders =
        Map.of(
            "mlp", Set.of("saved_model"),
            "cnn", Set.of("saved_model", "keras"),
            "float64", Set.of("saved_model", "keras"));
    for (String name : loaders.keySet()) {
      Path features = models.resolve(name + "-x.npy");
      Path trained = models.resolve(name + "-trained");
      FineTuning.builder(models.resolve(name), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
          .features(features)
          .labels(models.resolve(name + "-y.npy"))
          .epochs(3)
          .optimizer(graph -> Adafactor.builder(graph).learningRate(0.1).build())
          .export(trained)
          .build()
          .run();
      double[] before = predictions(models.resolve(name), features);
      assertTrue(distance(before, predictions(trained, features)) > 0.1, name);
      assertPythonPredicts(trained, features, loaders.get(name));
    }
  }

  private static void assertPythonPredicts(Path model, Path features, Set<String> loaders)
      throws Exception {
    Path out = folder.resolve("predictions.npz");
    Python.run("check_export.py", model, features, out);
    Map<String, double[]> python = arrays(out);
    assertEquals(loaders, python.keySet());
    double[] java = predictions(model, features);
    for (String loader : loaders) {
      assertArrayEquals(python.get(loader), java, 1e-6, loader);
    }
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

  /** The only output of a model for its only input. */
  private static double[] predictions(Path savedModel, Path features) throws IOException {
    NpyFile file = NpyFile.open(features);
    try (TrainableModel model = TrainableModel.load(savedModel, "serving_default")) {
      Output<?> input = model.inputs().values().iterator().next();
      Column column = Column.of("features", file, input.dataType(), input.shape());
      int[] rows = BatchOrder.inFileOrder((int) file.rows(), 1000).epoch(0).get(0);
      try (Tensor batch = column.batch(rows);
          Result fetched =
              model
                  .session()
                  .runner()
                  .feed(input, batch)
                  .fetch(model.inference().outputs().values().iterator().next())
                  .run()) {
        return doubles(fetched.get(0));
      }
    }
  }

  static Map<String, double[]> weights(Path savedModel) throws IOException {
    Map<String, double[]> weights = new HashMap<>();
    try (TrainableModel model = TrainableModel.load(savedModel, "serving_default")) {
      Ops tf = Ops.create(model.graph());
      for (ModelVariable variable : model.variables()) {
        Operand<TFloat32> value = tf.readVariableOp(resource(variable), TFloat32.class);
        try (Result fetched = model.session().runner().fetch(value).run()) {
          weights.put(variable.name(), doubles(fetched.get(0)));
        }
      }
    }
    return weights;
  }

  @SuppressWarnings("unchecked") // A resource has no type in Java.
  private static Operand<? extends TType> resource(ModelVariable variable) {
    return (Operand<? extends TType>) variable.handle();
  }

  private static double[] doubles(Tensor tensor) {
    if (tensor instanceof TFloat64 values) {
      double[] doubles = new double[(int) values.size()];
      values.copyTo(DataBuffers.of(doubles, false, false));
      return doubles;
    }
    TFloat32 floats = (TFloat32) tensor;
    float[] values = new float[(int) floats.size()];
    floats.copyTo(DataBuffers.of(values, false, false));
    double[] doubles = new double[values.length];
    Arrays.setAll(doubles, i -> values[i]);
    return doubles;
  }

  /** The arrays of an .npz file, which is a zip of .npy files. */
  static Map<String, double[]> arrays(Path npz) throws IOException {
    Map<String, double[]> arrays = new HashMap<>();
    try (ZipFile zip = new ZipFile(npz.toFile())) {
      for (ZipEntry entry : zip.stream().toList()) {
        Path file = Files.createTempFile("array", ".npy");
        try (InputStream in = zip.getInputStream(entry)) {
          Files.write(file, in.readAllBytes());
          arrays.put(entry.getName().replaceFirst("\\.npy$", ""), values(NpyFile.open(file)));
        } finally {
          Files.delete(file);
        }
      }
    }
    return arrays;
  }

  private static double[] values(NpyFile file) {
    int size = file.type().size();
    ByteBuffer raw = ByteBuffer.allocate(file.rowElements() * size);
    double[] values = new double[(int) file.shape().size()];
    for (int row = 0; row < file.rows(); row++) {
      file.copyRow(row, raw.clear());
      for (int i = 0; i < file.rowElements(); i++) {
        values[row * file.rowElements() + i] = file.type().toDouble(raw, i * size);
      }
    }
    return values;
  }
}
