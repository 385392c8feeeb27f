package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.ndarray.Shape;

/** Models with inputs of several names and types, dropout and regularization among them. */
@Tag("live")
class InputsLiveTest {
  @TempDir static Path folder;

  @BeforeAll
  static void export() throws Exception {
    Python.run("export_inputs.py", folder);
  }

  private static FineTuning.Builder mixed() {
    return FineTuning.builder(folder.resolve("mixed"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features("x", folder.resolve("mixed-x.npy"))
        .features("word", folder.resolve("mixed-word.npy"))
        .features("flag", folder.resolve("mixed-flag.npy"))
        .labels(folder.resolve("mixed-labels.npy"))
        .epochs(4)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(0.03).build());
  }

  private static FineTuning.Builder text(String words) {
    return FineTuning.builder(folder.resolve("text"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(folder.resolve(words))
        .labels(folder.resolve("text-labels.npy"))
        .fromLogits()
        .epochs(10)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(0.3).build());
  }

  private static List<Double> losses(FineTuningResult result) {
    return result.steps().stream().map(Step::loss).toList();
  }

  @Test
  void dropoutIsDrawnFromTheSeed() throws IOException {
    FineTuningResult first = mixed().seed(4).build().run();
    assertEquals(Mode.TRAINING, first.plan().mode());
    assertEquals(losses(first), losses(mixed().seed(4).build().run()));
    assertNotEquals(
        losses(mixed().seed(4).inFileOrder().build().run()),
        losses(mixed().seed(5).inFileOrder().build().run()));
  }

  @Test
  void dropoutOfAPartIsDrawnFromTheSeedToo() throws IOException {
    FineTuningResult first = mixed().microBatchSize(12).build().run();
    assertEquals(losses(first), losses(mixed().microBatchSize(12).build().run()));
    assertNotEquals(losses(first).get(0), losses(mixed().build().run()).get(0), 1e-7);
  }

  /**
   * Two devices get the same rows. The first draws what a single one draws for these rows: so the
   * mean over both is that one's loss, unless the second draws others.
   */
  @Test
  void devicesDrawNumbersOfTheirOwn() throws IOException {
    List<Double> divided = losses(twice(48, "batch=2").build().run());
    assertEquals(divided, losses(twice(48, "batch=2").build().run()));
    assertNotEquals(losses(twice(24, "x=1").build().run()).get(0), divided.get(0), 1e-3);
    assertEquals(
        losses(twice(24, "x=1").mode(Mode.INFERENCE).build().run()).get(0),
        losses(twice(48, "batch=2").mode(Mode.INFERENCE).build().run()).get(0),
        1e-6);
  }

  /** The same rows twice, in file order. */
  private static FineTuning.Builder twice(int batchSize, String dimensions) {
    Mesh mesh = Mesh.virtualCpus(dimensions);
    return FineTuning.builder(folder.resolve("mixed"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features("x", folder.resolve("mixed-twice-x.npy"))
        .features("word", folder.resolve("mixed-twice-word.npy"))
        .features("flag", folder.resolve("mixed-twice-flag.npy"))
        .labels(folder.resolve("mixed-twice-labels.npy"))
        .batchSize(batchSize)
        .inFileOrder()
        .epochs(2)
        .mesh(mesh)
        .optimizer(graph -> Adafactor.builder(graph).mesh(mesh).learningRate(0.03).build());
  }

  @Test
  void dividedBatchesShareATable() throws IOException {
    List<Double> whole = losses(text("text-word-S.npy").build().run());
    List<Double> divided =
        losses(text("text-word-S.npy").mesh(Mesh.virtualCpus("batch=3")).build().run());
    assertEquals(whole.size(), divided.size());
    for (int step = 0; step < whole.size(); step++) {
      assertEquals(whole.get(step), divided.get(step), 1e-5);
    }
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void regularizationCounts(Mode mode) throws IOException {
    FineTuning job =
        mixed()
            .mode(mode)
            .validationFeatures("x", folder.resolve("mixed-x.npy"))
            .validationFeatures("word", folder.resolve("mixed-word.npy"))
            .validationFeatures("flag", folder.resolve("mixed-flag.npy"))
            .validationLabels(folder.resolve("mixed-labels.npy"))
            .build();
    ByteBuffer loss = ByteBuffer.allocate(Double.BYTES);
    NpyFile evaluated = NpyFile.open(folder.resolve("mixed-loss.npy"));
    evaluated.copyRow(0, loss);
    assertEquals(evaluated.type().toDouble(loss, 0), job.run().before().orElseThrow().loss(), 1e-6);
  }

  @Test
  void textOfBothKindsIsLearned() throws IOException {
    FineTuningResult bytes = text("text-word-S.npy").build().run();
    FineTuningResult unicode = text("text-word-U.npy").build().run();
    assertEquals(losses(bytes), losses(unicode));
    double last = losses(bytes).get(bytes.steps().size() - 1);
    assertTrue(last < 0.5 * losses(bytes).get(0), () -> "loss " + losses(bytes));
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    float[] values = new float[96 * 4];
    values[4 * 7] = Float.NEGATIVE_INFINITY;
    Path infinite = NpyFiles.floats(folder.resolve("infinite.npy"), Shape.of(96, 4), values);
    String message = refusal(mixed().features("x", infinite));
    assertTrue(message.startsWith("features of input 'x': "), message);
    assertTrue(message.contains("-Infinity in row 7"), message);
    message = refusal(mixed().features("word", folder.resolve("mixed-flag.npy")));
    assertTrue(message.contains("features of input 'word'"), message);
    message = refusal(mixed().features("flag", folder.resolve("mixed-word.npy")));
    assertTrue(message.contains("holds int32; bool are wanted"), message);
    message = refusal(text("text-labels.npy"));
    assertTrue(message.contains("text (S or U) are wanted"), message);
  }

  private static String refusal(FineTuning.Builder builder) {
    return assertThrows(IllegalArgumentException.class, () -> builder.build().run()).getMessage();
  }
}
