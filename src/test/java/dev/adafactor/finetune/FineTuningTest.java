package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

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
    public void epochEnded(Epoch epoch) {
      events.add(
          "end of epoch %d of %d, validated on %d"
              .formatted(
                  epoch.number(),
                  epoch.training().examples(),
                  epoch.validation().orElseThrow().examples()));
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
            "end of epoch 1 of 4, validated on 4",
            "step 3 of epoch 2",
            "step 4 of epoch 2",
            "end of epoch 2 of 4, validated on 4",
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
        stop.getMessage().startsWith("after the last step, 1, not finite are the variables ["),
        stop.getMessage());
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

  private static FineTuning.Builder validated() {
    return Digits.job().validationFeatures(Digits.TEST_IMAGES).validationLabels(Digits.TEST_LABELS);
  }

  private static Adafactor withAverages(Graph graph) {
    return Adafactor.builder(graph)
        .learningRate(0.03)
        .globalClipnorm(1)
        .useEma(true)
        .emaMomentum(0.9)
        .build();
  }

  @Test
  void partsOfABatchMakeTheSameStep() throws IOException {
    FineTuning.Builder job =
        validated()
            .batchSize(50)
            .classWeight(3, 2.5)
            .epochs(1)
            .optimizer(FineTuningTest::withAverages);
    FineTuningResult whole = job.build().run();
    FineTuningResult inParts = job.microBatchSize(16).build().run();
    assertEquals(whole.steps().size(), inParts.steps().size());
    for (int step = 0; step < 8; step++) {
      Step expected = whole.steps().get(step);
      Step actual = inParts.steps().get(step);
      assertEquals(expected.examples(), actual.examples());
      assertEquals(expected.loss(), actual.loss(), 1e-4 * expected.loss());
      assertEquals(expected.accuracy().orElseThrow(), actual.accuracy().orElseThrow(), 0.021);
    }
    assertEquals(
        whole.steps().get(0).accuracy().orElseThrow(),
        inParts.steps().get(0).accuracy().orElseThrow(),
        1e-6);
    assertEquals(whole.after().orElseThrow().loss(), inParts.after().orElseThrow().loss(), 5e-2);
  }

  @Test
  void validatesAfterEveryEpochAndGivesTheBestOneBack() throws IOException {
    // So large a rate that one epoch in some is worse than the one before.
    FineTuningResult result =
        validated()
            .epochs(30)
            .seed(1)
            .optimizer(graph -> Adafactor.builder(graph).learningRate(0.1).build())
            .earlyStopping(EarlyStopping.patience(2))
            .build()
            .run();
    List<Double> losses =
        result.epochs().stream().map(epoch -> epoch.validation().orElseThrow().loss()).toList();
    int best = result.bestEpoch().orElseThrow();
    assertEquals(FineTuningResult.Ending.STOPPED_EARLY, result.ending());
    assertEquals(Collections.min(losses), losses.get(best - 1));
    assertEquals(best + 2, losses.size());
    // The variables are the very ones: so is what they predict.
    assertEquals(
        result.epochs().get(best - 1).validation().orElseThrow(), result.after().orElseThrow());
  }

  @Test
  void theAveragesAreThoseOfTheBestEpochToo() throws IOException {
    FineTuning.Builder job = validated().seed(1).optimizer(FineTuningTest::withAverages);
    // Nothing improves by a thousand but the first epoch, over none.
    FineTuningResult stopped =
        job.epochs(5).earlyStopping(EarlyStopping.patience(3).improvingBy(1000)).build().run();
    assertEquals(1, stopped.bestEpoch().orElseThrow());
    assertEquals(4, stopped.epochs().size());
    FineTuningResult one =
        validated().seed(1).optimizer(FineTuningTest::withAverages).epochs(1).build().run();
    assertEquals(one.after().orElseThrow().loss(), stopped.after().orElseThrow().loss(), 1e-3);
  }

  @Test
  void earlyStoppingNeedsValidationData() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Digits.job().earlyStopping(EarlyStopping.patience(1)).build());
  }

  @Test
  void keepsTheLastExamplesForValidation() throws IOException {
    Path images = images(1);
    FineTuningResult result =
        Digits.job().features(images).labels(labels(0, 1, 2, 9)).validationSplit(0.3).build().run();
    assertEquals(2, result.plan().examples());
    // The last two images are black; the loss of the last labels is that of a file of their own.
    Path black = NpyFiles.floats(folder.resolve("b.npy"), Shape.of(2, 8, 8, 1), new float[128]);
    Path last = NpyFiles.longs(folder.resolve("l.npy"), Shape.of(2), 2, 9);
    FineTuningResult apart =
        Digits.job().validationFeatures(black).validationLabels(last).build().run();
    assertEquals(apart.before(), result.before());
    String message =
        refusal(Digits.job().features(images).labels(labels(0, 1, 2, 9)).validationSplit(0.9));
    assertTrue(message.contains("leaves 0 of 4 examples"), message);
    assertThrows(IllegalArgumentException.class, () -> Digits.job().validationSplit(1));
    assertThrows(IllegalArgumentException.class, () -> validated().validationSplit(0.5).build());
  }

  @Test
  void weightsOfClassesAreThoseOfTheirExamples() throws IOException {
    Path images = images(1);
    Path labels = labels(0, 1, 2, 9);
    FineTuningResult byClass =
        Digits.job()
            .features(images)
            .labels(labels)
            .classWeight(1, 3)
            .classWeight(9, 0)
            .build()
            .run();
    Path weights = NpyFiles.floats(folder.resolve("w.npy"), Shape.of(4, 1), 1, 3, 1, 0);
    FineTuning.Builder weighted =
        Digits.job().features(images).labels(labels).sampleWeights(weights);
    assertEquals(losses(byClass), losses(weighted.build().run()));
    FineTuningResult both = weighted.classWeight(1, 1.0 / 3).classWeight(2, 0).build().run();
    Path product = NpyFiles.floats(folder.resolve("p.npy"), Shape.of(4), 1, 1, 0, 0);
    FineTuningResult multiplied =
        Digits.job().features(images).labels(labels).sampleWeights(product).build().run();
    assertEquals(losses(multiplied).get(0), losses(both).get(0), 1e-6);
    assertEquals(byClass.steps().get(0).accuracy(), both.steps().get(0).accuracy());
  }

  @Test
  void refusesWeightsThatCannotWork() throws IOException {
    FineTuning.Builder job = Digits.job().features(images(1)).labels(labels(0, 1, 2, 9));
    job.sampleWeights(NpyFiles.floats(folder.resolve("w.npy"), Shape.of(4), 1, 1, Float.NaN, 1));
    String message = refusal(job);
    assertTrue(message.startsWith("sample weights: ") && message.contains("row 2"), message);
    message =
        refusal(
            Digits.job()
                .sampleWeights(NpyFiles.floats(folder.resolve("v.npy"), Shape.of(4), 1, 1, 1, 1)));
    assertTrue(message.contains("sample weights") && message.contains("has 4 rows"), message);
    message = refusal(Digits.job().classWeight(10, 1));
    assertTrue(message.contains("there is no class 10"), message);
    assertThrows(
        IllegalArgumentException.class,
        () -> Digits.job().classWeight(1, Double.POSITIVE_INFINITY));
  }

  @Test
  void frozenVariablesStayAsTheyAre() throws IOException {
    Path exported = folder.resolve("exported");
    FineTuningResult result =
        Digits.job().freeze("^conv").freeze("(dense|prob\\w*)/bias").export(exported).build().run();
    assertEquals(6, result.plan().frozenVariables());
    assertEquals(2, result.plan().trainableVariables());
    assertEquals(4 * (512 + 64 + 64 + 10), result.plan().stateSize().adafactor());
    Map<String, float[]> before = weights(Digits.MODEL);
    Map<String, float[]> after = weights(exported);
    before.forEach(
        (name, values) -> {
          boolean trained = !name.startsWith("conv") && name.endsWith("kernel");
          assertEquals(!trained, Arrays.equals(values, after.get(name)), name);
        });
  }

  private static Map<String, float[]> weights(Path savedModel) throws IOException {
    Map<String, float[]> weights = new TreeMap<>();
    try (TrainableModel model = TrainableModel.load(savedModel, "serving_default")) {
      Ops tf = Ops.create(model.graph());
      for (ModelVariable variable : model.variables()) {
        Output<?> value = new RawVariable(variable.handle(), variable.dtype()).read(tf);
        try (Result fetched = model.session().runner().fetch(value).run()) {
          TFloat32 tensor = (TFloat32) fetched.get(0);
          float[] values = new float[(int) tensor.size()];
          tensor.copyTo(DataBuffers.of(values, false, false));
          weights.put(variable.name(), values);
        }
      }
    }
    return weights;
  }

  @Test
  void freezingNothingOrEverythingIsAMistake() {
    String message = refusal(Digits.job().freeze("encoder"));
    assertTrue(message.contains("'encoder'") && message.contains("conv"), message);
    message = refusal(Digits.job().freeze("."));
    assertTrue(message.contains("leaves nothing to train"), message);
    message =
        assertThrows(IllegalArgumentException.class, () -> Digits.job().freeze("(")).getMessage();
    assertTrue(message.startsWith("freeze: '('"), message);
  }

  @Test
  void stopsAfterTheStepThatItIsIn() throws IOException {
    Path exported = folder.resolve("exported");
    StopRequest stop = new StopRequest();
    FineTuningResult result =
        validated()
            .epochs(9)
            .export(exported)
            .build()
            .run(
                stop,
                new TrainingListener() {
                  @Override
                  public void stepped(Step step) {
                    if (step.number() == 50) {
                      stop.stop();
                    }
                  }
                });
    assertEquals(FineTuningResult.Ending.INTERRUPTED, result.ending());
    assertEquals(50, result.steps().size());
    assertEquals(1, result.epochs().size());
    assertTrue(result.after().isEmpty());
    assertTrue(Files.exists(exported.resolve("saved_model.pb")));
  }

  @Test
  void stoppedBeforeTheFirstStepItLeavesNothing() {
    StopRequest stop = new StopRequest();
    FineTuning job = Digits.job().export(folder.resolve("exported")).build();
    TrainingListener early =
        new TrainingListener() {
          @Override
          public void checking(String what, long row, long rows) {
            stop.stop();
          }
        };
    assertThrows(CancellationException.class, () -> job.run(stop, early));
    assertFalse(Files.exists(folder.resolve("exported")));
  }

  @Test
  void aStopAfterTheLastStepComesTooLate() throws IOException {
    StopRequest stop = new StopRequest();
    FineTuningResult result =
        validated()
            .export(folder.resolve("exported"))
            .build()
            .run(
                stop,
                new TrainingListener() {
                  @Override
                  public void evaluatedAfter(Evaluation evaluation) {
                    stop.stop();
                  }
                });
    assertEquals(FineTuningResult.Ending.COMPLETED, result.ending());
    assertTrue(Files.exists(folder.resolve("exported/saved_model.pb")));
  }

  @Test
  void aGradientThatIsNotFiniteIsNamed() throws IOException {
    // Labels are fed as they are: only the loss of the batch, not a variable, is infinite.
    Path weights =
        NpyFiles.floats(folder.resolve("w.npy"), Shape.of(4), 3e38f, 3e38f, 3e38f, 3e38f);
    FineTuning job =
        Digits.job().features(images(1)).labels(labels(9, 8, 7, 6)).sampleWeights(weights).build();
    NotFiniteLossException stop = assertThrows(NotFiniteLossException.class, job::run);
    assertTrue(
        stop.getMessage().contains("the variables are finite, not so the gradients of [")
            || stop.getMessage().contains("the data or the loss make it so"),
        stop.getMessage());
  }
}
