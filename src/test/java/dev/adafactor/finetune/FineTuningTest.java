package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

class FineTuningTest {
  private static final Shape IMAGES = Shape.of(4, 8, 8, 1);

  @TempDir Path folder;

  /** Everything that it hears, in words. */
  private static final class Recorder implements TrainingListener {
    private final List<String> events = new ArrayList<>();

    @Override
    public void planned(Plan plan) {
      events.add("planned");
    }

    @Override
    public void evaluatedBefore(Evaluation evaluation) {
      events.add("before");
    }

    @Override
    public void stepped(Step step) {
      events.add("step " + step.number() + " of epoch " + step.epoch());
    }

    @Override
    public void epochEnded(int epoch, Evaluation training) {
      events.add("end of epoch " + epoch + " of " + training.examples());
    }

    @Override
    public void evaluatedAfter(Evaluation evaluation) {
      events.add("after");
    }
  }

  private static List<Double> losses(FineTuningResult result) {
    return result.steps().stream().map(Step::loss).toList();
  }

  private static Map<String, byte[]> content(Path directory) throws IOException {
    Map<String, byte[]> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        content.put(directory.relativize(file).toString(), Files.readAllBytes(file));
      }
    }
    return content;
  }

  private Path images(float firstPixel) throws IOException {
    float[] pixels = new float[4 * 64];
    pixels[64] = firstPixel;
    return NpyFiles.floats(folder.resolve("images.npy"), IMAGES, pixels);
  }

  private Path labels(long... values) throws IOException {
    return NpyFiles.longs(folder.resolve("labels.npy"), Shape.of(values.length), values);
  }

  private static String refusal(FineTuning.Builder builder) {
    return assertThrows(IllegalArgumentException.class, () -> builder.build().run()).getMessage();
  }

  @Test
  void learnsTheDigitsAndExportsThem() throws IOException {
    Map<String, byte[]> input = content(Digits.MODEL);
    Path exported = folder.resolve("exported");
    FineTuningResult result =
        Digits.job()
            .validationFeatures(Digits.TEST_IMAGES)
            .validationLabels(Digits.TEST_LABELS)
            .epochs(3)
            .export(exported)
            .build()
            .run();
    assertTrue(result.before().orElseThrow().accuracy().orElseThrow() < 0.6);
    Evaluation after = result.after().orElseThrow();
    assertTrue(after.accuracy().orElseThrow() > 0.9, after.toString());
    assertEquals(3 * 43, result.steps().size());
    assertEquals(0.03, result.steps().get(0).learningRate(), 1e-8);

    // What was exported is what was evaluated.
    FineTuningResult again =
        FineTuning.builder(exported, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .features(images(1))
            .labels(labels(0, 1, 2, 3))
            .validationFeatures(Digits.TEST_IMAGES)
            .validationLabels(Digits.TEST_LABELS)
            .build()
            .run();
    assertEquals(after, again.before().orElseThrow());

    Map<String, byte[]> afterwards = content(Digits.MODEL);
    assertEquals(input.keySet(), afterwards.keySet());
    input.forEach((name, bytes) -> assertArrayEquals(bytes, afterwards.get(name), name));
  }

  @Test
  void tellsListenersInOrder() throws IOException {
    Recorder recorder = new Recorder();
    Path images = images(1);
    Path labels = labels(0, 1, 2, 9);
    FineTuning.builder(Digits.MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features("image", images)
        .labels(labels)
        .validationFeatures(images)
        .validationLabels(labels)
        .batchSize(3)
        .epochs(2)
        .build()
        .run(recorder);
    assertEquals(
        List.of(
            "planned",
            "before",
            "step 1 of epoch 1",
            "step 2 of epoch 1",
            "end of epoch 1 of 4",
            "step 3 of epoch 2",
            "step 4 of epoch 2",
            "end of epoch 2 of 4",
            "after"),
        recorder.events);
  }

  @Test
  void theSameSeedGivesTheSameFirstLosses() throws IOException {
    FineTuningResult first = Digits.job().seed(5).build().run();
    FineTuningResult same = Digits.job().seed(5).build().run();
    FineTuningResult other = Digits.job().seed(6).build().run();
    assertEquals(losses(first).get(0), losses(same).get(0), 1e-6);
    assertEquals(losses(first).get(5), losses(same).get(5), 1e-4);
    assertFalse(Math.abs(losses(first).get(0) - losses(other).get(0)) < 1e-3);
  }

  @Test
  void theFilesOrderIsKeptWhereAskedFor() throws IOException {
    FineTuningResult first = Digits.job().inFileOrder().seed(1).build().run();
    FineTuningResult second = Digits.job().inFileOrder().seed(2).build().run();
    assertEquals(losses(first).get(0), losses(second).get(0), 1e-6);
  }

  @Test
  void countsTheStateThatTheOptimizerHas() throws IOException {
    FineTuningResult result = Digits.job().build().run();
    // conv 1->16, conv 16->32, dense 512->64, dense 64->10, each with a bias.
    long parameters = 9 * 16 + 16 + 9 * 16 * 32 + 32 + 512 * 64 + 64 + 640 + 10;
    long factors = (9 + 9 * 16) + (9 * 16 + 9 * 32) + (512 + 64) + (64 + 10);
    long biases = 16 + 32 + 64 + 10;
    assertEquals(
        new StateSize(
            4 * parameters, 4 * (factors + biases), 4 * (factors + parameters), 8 * parameters),
        result.plan().stateSize());
  }

  @Test
  void endsWithTheMovingAverages() throws IOException {
    // Averages that hardly move are the variables before training.
    FineTuningResult result =
        Digits.job()
            .validationFeatures(Digits.TEST_IMAGES)
            .validationLabels(Digits.TEST_LABELS)
            .optimizer(
                graph ->
                    Adafactor.builder(graph).learningRate(0.03).useEma(true).emaMomentum(1).build())
            .build()
            .run();
    assertEquals(result.before().orElseThrow().loss(), result.after().orElseThrow().loss(), 1e-5);
  }

  @Test
  void stopsWhereTheLossIsNotFinite() throws IOException {
    // Of black images most gradients are 0, and tf_keras's own formulation makes NaN of that.
    FineTuning job =
        Digits.job()
            .features(images(1))
            .labels(labels(0, 1, 2, 3))
            .epochs(3)
            .optimizer(graph -> Adafactor.builder(graph).numerics(Numerics.TF_KERAS).build())
            .export(folder.resolve("exported"))
            .build();
    NotFiniteLossException stop = assertThrows(NotFiniteLossException.class, job::run);
    assertEquals(2, stop.step());
    assertTrue(stop.getMessage().startsWith("the loss is NaN in step 2 (epoch 2), on the rows ["));
    assertTrue(stop.getMessage().contains("--numerics stable"), stop.getMessage());
    assertFalse(Files.exists(folder.resolve("exported")));
  }

  @Test
  void stopsWhereTheLastUpdateIsNotFinite() throws IOException {
    FineTuning job =
        Digits.job()
            .features(images(1))
            .labels(labels(0, 1, 2, 3))
            .optimizer(graph -> Adafactor.builder(graph).numerics(Numerics.TF_KERAS).build())
            .build();
    NotFiniteLossException stop = assertThrows(NotFiniteLossException.class, job::run);
    assertEquals(1, stop.step());
    assertTrue(
        stop.getMessage().contains("' is not finite after the last step, 1: "), stop.getMessage());
  }

  @Test
  void refusesFeaturesThatAreNotFinite() throws IOException {
    String message = refusal(Digits.job().features(images(Float.NaN)).labels(labels(0, 1, 2, 3)));
    assertTrue(
        message.startsWith("features of input 'image': ") && message.contains("NaN in row 1"),
        message);
  }

  @Test
  void refusesLabelsOutOfRange() throws IOException {
    String message = refusal(Digits.job().features(images(1)).labels(labels(0, 1, 10, 3)));
    assertTrue(
        message.startsWith("labels: ")
            && message.contains("10 in row 2")
            && message.contains("a class from 0 to 9"),
        message);
  }

  @Test
  void refusesDifferentNumbersOfRows() throws IOException {
    String message = refusal(Digits.job().features(images(1)).labels(labels(0, 1, 2)));
    assertTrue(message.contains("has 4 rows") && message.contains("has 3"), message);
  }

  @Test
  void refusesInputsAndOutputsThatTheModelDoesNotHave() {
    String message = refusal(Digits.job().features("picture", Digits.TRAIN_IMAGES));
    assertTrue(message.contains("'picture'") && message.contains("[image]"), message);
    message = refusal(Digits.job().output("logits"));
    assertTrue(message.contains("'logits'") && message.contains("[probabilities]"), message);
  }

  @Test
  void refusesLabelsOfAnotherShape() throws IOException {
    Path labels = NpyFiles.longs(folder.resolve("labels.npy"), Shape.of(4, 2), new long[8]);
    String message = refusal(Digits.job().features(images(1)).labels(labels));
    assertTrue(message.contains("(4, 2)") && message.contains("(batch,)"), message);
  }

  @Test
  void refusesTrainingModeAsItIsNotTaken() {
    assertTrue(refusal(Digits.job().mode(Mode.TRAINING)).startsWith("mode training: "));
  }

  @Test
  void looksAtTheExportFolderBeforeItTrains() throws IOException {
    Files.writeString(folder.resolve("precious.txt"), "do not touch");
    Recorder recorder = new Recorder();
    FineTuning job = Digits.job().export(folder).build();
    assertThrows(IllegalArgumentException.class, () -> job.run(recorder));
    assertEquals(List.of(), recorder.events);
    assertEquals("do not touch", Files.readString(folder.resolve("precious.txt")));
  }

  @Test
  void needsFeaturesAndLabels() {
    FineTuning.Builder builder = FineTuning.builder(Digits.MODEL, Loss.MEAN_SQUARED_ERROR);
    assertThrows(IllegalArgumentException.class, builder::build);
    builder.features(Digits.TRAIN_IMAGES);
    assertThrows(IllegalArgumentException.class, builder::build);
    builder.labels(Digits.TRAIN_LABELS).validationLabels(Digits.TEST_LABELS);
    assertThrows(IllegalArgumentException.class, builder::build);
    assertThrows(IllegalArgumentException.class, () -> builder.epochs(0));
    assertThrows(IllegalArgumentException.class, () -> builder.batchSize(-1));
  }
}
