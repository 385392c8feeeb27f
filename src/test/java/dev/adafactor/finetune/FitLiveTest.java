package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

/** Options of a job beside the same arguments of tf_keras's {@code fit}, over 20 steps or so. */
@Tag("live")
class FitLiveTest {
  private static final int ROWS = 160;
  private static final Map<String, Object> OPTIMIZER =
      Map.of("learning_rate", 0.01, "epsilon_1", 1e-16);

  @TempDir Path folder;
  private final Map<String, Object> python = new LinkedHashMap<>();
  private FineTuning.Builder java;

  @BeforeEach
  void startWithTheFirstRows() throws IOException {
    Path features = first(Digits.TRAIN_IMAGES, "x.npy", "<f4");
    Path labels = first(Digits.TRAIN_LABELS, "y.npy", "<i4");
    python.put("model", Digits.MODEL.toString());
    python.put("features", features.toString());
    python.put("labels", labels.toString());
    python.put("optimizer", OPTIMIZER);
    python.put("epochs", 4);
    python.put("batch_size", 32);
    String optimizer = new JsonMapper().writeValueAsString(OPTIMIZER);
    java =
        FineTuning.builder(Digits.MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .mode(Mode.INFERENCE)
            .features(features)
            .labels(labels)
            .epochs(4)
            .inFileOrder()
            .optimizer(graph -> Adafactor.fromConfig(graph, optimizer).build());
  }

  private Path first(Path data, String name, String descr) throws IOException {
    NpyFile file = NpyFile.open(data);
    ByteBuffer raw = ByteBuffer.allocate(ROWS * file.rowElements() * file.type().size());
    for (int row = 0; row < ROWS; row++) {
      file.copyRow(row, raw);
    }
    Shape shape = file.shape().tail().prepend(ROWS);
    return Files.write(folder.resolve(name), NpyFiles.bytes(descr, false, shape, raw.array()));
  }

  private void compare(String what) throws Exception {
    Path exported = folder.resolve("exported");
    FineTuningResult result = java.export(exported).build().run();
    Path out = folder.resolve("python.npz");
    Path job = folder.resolve("job.json");
    new JsonMapper().writeValue(job.toFile(), python);
    Python.run("fit_savedmodel.py", job, out);
    Map<String, double[]> fit = FineTuningLiveTest.arrays(out);
    double worst =
        Math.max(
            worst(result, fit.get("loss"), epoch -> epoch.training().loss()),
            worst(result, fit.get("accuracy"), epoch -> accuracy(epoch.training())));
    if (fit.containsKey("val_loss")) {
      worst = Math.max(worst, worst(result, fit.get("val_loss"), FitLiveTest::validationLoss));
      worst =
          Math.max(
              worst,
              worst(
                  result,
                  fit.get("val_accuracy"),
                  epoch -> accuracy(epoch.validation().orElseThrow())));
    }
    if (fit.containsKey("best_epoch")) {
      assertEquals(fit.get("best_epoch")[0] + 1, result.bestEpoch().orElseThrow());
    }
    double worstWeights = 0;
    for (Map.Entry<String, double[]> variable : FineTuningLiveTest.weights(exported).entrySet()) {
      double[] before = fit.get("before/" + variable.getKey());
      double[] after = fit.get("after/" + variable.getKey());
      double moved = FineTuningLiveTest.distance(after, before);
      double apart = FineTuningLiveTest.distance(variable.getValue(), after);
      worstWeights = Math.max(worstWeights, moved == 0 ? apart : apart / moved);
    }
    System.out.printf(
        "%s, %d steps beside fit: metrics differ by at most %.2e, weights by %.4f%% of the way%n",
        what, result.steps().size(), worst, 100 * worstWeights);
    assertTrue(worst < 1e-4, "metrics differ by " + worst);
    assertTrue(worstWeights < 0.01, "weights differ by " + worstWeights + " of the way");
  }

  private static double validationLoss(TrainingListener.Epoch epoch) {
    return epoch.validation().orElseThrow().loss();
  }

  private static double accuracy(Evaluation evaluation) {
    OptionalDouble accuracy = evaluation.accuracy();
    return accuracy.orElseThrow();
  }

  private static double worst(
      FineTuningResult result, double[] python, ToDoubleFunction<TrainingListener.Epoch> value) {
    assertEquals(python.length, result.epochs().size());
    return result.epochs().stream()
        .mapToDouble(epoch -> Math.abs(python[epoch.number() - 1] - value.applyAsDouble(epoch)))
        .max()
        .orElseThrow();
  }

  private Path weights() throws IOException {
    float[] weights = new float[ROWS];
    Random random = new Random(5);
    for (int i = 0; i < ROWS; i++) {
      weights[i] = 3 * random.nextFloat();
    }
    return NpyFiles.floats(folder.resolve("w.npy"), Shape.of(ROWS), weights);
  }

  @Test
  void weightsAndSplit() throws Exception {
    Path weights = weights();
    java.sampleWeights(weights).validationSplit(0.23);
    python.put("sample_weights", weights.toString());
    python.put("validation_split", 0.23);
    Map<String, Double> byClass = new LinkedHashMap<>();
    for (int label = 0; label < 10; label++) {
      byClass.put("" + label, 0.25 * (label + 1));
      java.classWeight(label, 0.25 * (label + 1));
    }
    python.put("class_weight", byClass);
    compare("Sample weights, class weights and a validation split");
  }

  @Test
  void partsOfBatches() throws Exception {
    java.microBatchSize(12);
    compare("Parts of 12, of batches of 32");
  }

  @Test
  void frozenVariables() throws Exception {
    java.freeze("conv_1/|bias");
    python.put("freeze", "conv_1/|bias");
    compare("Frozen variables");
  }

  @Test
  void earlyStopping() throws Exception {
    java.validationSplit(0.5)
        .epochs(20)
        .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 0.6));
    python.put("validation_split", 0.5);
    python.put("epochs", 20);
    python.put(
        "early_stopping", Map.of("patience", 1, "min_delta", 0.6, "restore_best_weights", true));
    compare("Early stopping");
  }
}
