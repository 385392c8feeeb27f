package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Divided batches beside those of tf_keras's fit under MirroredStrategy. */
@Tag("live")
class MirroredFitLiveTest {
  private static final int REPLICAS = 2;
  private static final double EPSILON = 1e-16;

  @TempDir static Path folder;

  @BeforeAll
  static void fit() throws Exception {
    Python.run("fit_mirrored.py", folder, REPLICAS);
  }

  private static FineTuning.Builder job(String dimensions) {
    return job("model", dimensions);
  }

  private static FineTuning.Builder job(String model, String dimensions) {
    Mesh mesh = Mesh.virtualCpus(dimensions);
    return FineTuning.builder(folder.resolve(model), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(folder.resolve("x.npy"))
        .labels(folder.resolve("y.npy"))
        .batchSize(24)
        .epochs(3)
        .inFileOrder()
        .mesh(mesh)
        .optimizer(
            graph ->
                Adafactor.builder(graph).learningRate(0.01).epsilon1(EPSILON).mesh(mesh).build());
  }

  /** Batch normalization takes the statistics of parts: one of the whole ends elsewhere. */
  @ParameterizedTest
  @ValueSource(strings = {"batch=2", "x=2,batch=2"})
  void isTheSame(String mesh) throws IOException {
    Path exported = folder.resolve(mesh);
    FineTuningResult result = job(mesh).export(exported).build().run();
    Map<String, double[]> fit = PlainArrays.arrays(folder.resolve("python.npz"));
    List<Double> losses = result.epochs().stream().map(epoch -> epoch.training().loss()).toList();
    double worstLoss = 0;
    for (int epoch = 0; epoch < losses.size(); epoch++) {
      worstLoss = Math.max(worstLoss, Math.abs(fit.get("loss")[epoch] - losses.get(epoch)));
    }
    Map<String, double[]> weights = PlainArrays.weights(exported);
    Map<String, double[]> whole = whole();
    double worst = 0;
    double apart = 0;
    for (Map.Entry<String, double[]> variable : weights.entrySet()) {
      double[] after = fit.get("after/" + variable.getKey());
      double moved = PlainArrays.distance(after, fit.get("before/" + variable.getKey()));
      worst = Math.max(worst, PlainArrays.distance(variable.getValue(), after) / moved);
      apart = Math.max(apart, PlainArrays.distance(whole.get(variable.getKey()), after) / moved);
    }
    System.out.printf(
        "%s beside MirroredStrategy: losses within %.1e, %d variables within %.5f%% of their way;"
            + " undivided off by up to %.2f%%%n",
        mesh, worstLoss, weights.size(), 100 * worst, 100 * apart);
    assertEquals(3, losses.size());
    assertTrue(worstLoss < 1e-5, "losses differ by " + worstLoss);
    assertTrue(worst < 1e-4, "weights differ by " + worst + " of the way");
    assertTrue(apart > 0.01, "a whole batch gives the same");
  }

  private static Map<String, double[]> whole() throws IOException {
    Path exported = folder.resolve("whole");
    job("x=1").export(exported).overwrite().build().run();
    return PlainArrays.weights(exported);
  }

  /** MirroredStrategy, too, refuses to write a variable of which it is not told what to make. */
  @ParameterizedTest
  @CsvSource({
    "counting, variable 'counting/steps' changes with each",
    "counting_in_branch, variable 'counting/steps' changes with each",
    "mean_of_integers, of type int64",
    "shrinking, changes its variable 'shrinking/scale' in a step that trains it",
    "predicting, variable 'seen' changes whenever the model predicts",
    "on_second, was saved for /device:CPU:1",
    "fixed, the model takes batches of 24 alone"
  })
  void refusesWhatCannotBeDivided(String model, String part) {
    assertRefused(job(model, "batch=2"), part);
  }

  private static void assertRefused(FineTuning.Builder job, String part) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> job.build().run());
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }

  @Test
  void whatIsFrozenMayChange() throws IOException {
    Path exported = folder.resolve("shrunk");
    job("shrinking", "batch=2").freeze("shrinking/scale").export(exported).build().run();
    double[] scale = PlainArrays.weights(exported).get("shrinking/scale");
    assertArrayEquals(new double[] {Math.pow(0.9, 9)}, scale, 1e-6);
  }

  /** A sum of two such numbers is infinite. */
  @Test
  void takesMeansOfHalfPrecision() throws IOException {
    Path exported = folder.resolve("half-precision");
    job("half", "batch=2").export(exported).build().run();
    double seen = PlainArrays.weights(exported).get("half/seen")[0];
    Path whole = folder.resolve("half-precision-whole");
    job("half", "x=1").export(whole).build().run();
    assertEquals(PlainArrays.weights(whole).get("half/seen")[0], seen, 64);
    assertTrue(seen > 40_000, "seen is " + seen);
  }

  /** What the model's functions ask for gives way, in branches and loops as well. */
  @ParameterizedTest
  @ValueSource(strings = {"placed", "on_first"})
  void computesWhereTheMeshSays(String model) throws IOException {
    List<Step> whole = job(model, "x=1").build().run().steps();
    List<Step> divided = job(model, "batch=2").build().run().steps();
    assertEquals(9, divided.size());
    for (int step = 0; step < divided.size(); step++) {
      assertEquals(whole.get(step).loss(), divided.get(step).loss(), 1e-5);
    }
  }

  @Test
  void cannotBeComparedWithWholeBatches() throws IOException {
    assertRefused(recorded("model", "batch=2"), "take statistics of their parts");
    assertRefused(recorded("model", "batch=2"), "batch_normalization/moving_mean");
    assertRefused(recorded("penalty", "batch=2"), "adds losses of its own (add_loss)");
    recorded("penalty", "x=1").build().run();
    recorded("regularized", "batch=2").build().run();
  }

  private static FineTuning.Builder recorded(String model, String mesh) throws IOException {
    return job(model, mesh).record(Files.createTempDirectory(folder, "recording"), 10_000_000);
  }
}
