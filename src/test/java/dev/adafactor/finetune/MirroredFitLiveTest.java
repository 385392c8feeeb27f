package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
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
    Mesh mesh = Mesh.virtualCpus(dimensions);
    return FineTuning.builder(folder.resolve("model"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
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
  @Test
  void refusesWhatCannotBeAveraged() {
    assertRefused("counting", "variable 'counting/steps' changes");
  }

  @Test
  void refusesABatchOfFixedSize() {
    assertRefused("fixed", "the model takes batches of 24 alone");
  }

  private static void assertRefused(String model, String part) {
    FineTuning job =
        FineTuning.builder(folder.resolve(model), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .features(folder.resolve("x.npy"))
            .labels(folder.resolve("y.npy"))
            .batchSize(24)
            .mesh(Mesh.virtualCpus("batch=2"))
            .build();
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, job::run);
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }

  @Test
  void cannotBeComparedWithWholeBatches() {
    FineTuning job = job("batch=2").record(folder.resolve("recording"), 1_000_000).build();
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, job::run);
    assertTrue(e.getMessage().contains("take statistics of their parts"), e::getMessage);
    assertTrue(e.getMessage().contains("batch_normalization/moving_mean"), e::getMessage);
  }
}
