package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Output;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.SavedModel;
import org.tensorflow.types.TFloat32;

class TrainableModelTest {
  static final Path DIGITS = Path.of("savedmodels", "digits");
  private static final String SIGNATURE = "serving_default";

  @TempDir Path folder;

  static TrainableModel digits() throws IOException {
    return TrainableModel.load(DIGITS, SIGNATURE);
  }

  /** Five images of noise, the same every time. */
  static TFloat32 images() {
    return TFloat32.tensorOf(
        Shape.of(5, 8, 8, 1),
        x ->
            x.scalars()
                .forEachIndexed(
                    (i, s) ->
                        s.setFloat(
                            (float) Math.abs(Math.sin(97.0 * i[0] + 13.0 * i[1] + 5.0 * i[2])))));
  }

  static float[] predict(TrainableModel model) {
    try (TFloat32 images = images();
        Tensor result =
            model
                .session()
                .runner()
                .feed(model.inputs().get("image"), images)
                .fetch(model.inference().outputs().get("probabilities"))
                .run()
                .get(0)) {
      return floats((TFloat32) result);
    }
  }

  private static float[] floats(TFloat32 tensor) {
    float[] values = new float[(int) tensor.size()];
    int[] next = {0};
    tensor.scalars().forEach(scalar -> values[next[0]++] = scalar.getFloat());
    return values;
  }

  /** Adds a number to every element of every trainable variable. */
  static void shiftVariables(TrainableModel model, float by) {
    Ops tf = Ops.create(model.graph());
    var runner = model.session().runner();
    for (ModelVariable variable : model.variables()) {
      runner.addTarget(
          tf.assignAddVariableOp(
              variable.handle(),
              tf.fill(tf.constant(variable.shape().asArray()), tf.constant(by))));
    }
    runner.run();
  }

  static List<ModelVariable> trainable(TrainableModel model) {
    return model.variables().stream().filter(ModelVariable::trainable).toList();
  }

  static void requireGradients(TrainableModel model, String output) {
    model.training().requireGradients(output, trainable(model), UncheckedGradients.REFUSE);
  }

  /** Every file below a folder, with its content. */
  static Map<String, Integer> contents(Path folder) throws IOException {
    Map<String, Integer> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        contents.put(folder.relativize(file).toString(), Arrays.hashCode(Files.readAllBytes(file)));
      }
    }
    return contents;
  }

  static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }

  private static void assertBadInput(
      Class<? extends Exception> type, String expected, Executable action) {
    String message = assertThrows(type, action).getMessage();
    assertTrue(message.contains(expected), message);
    assertFalse(message.contains("\n"), message);
  }

  @Test
  void signatureAndVariablesAreThoseOfTheModel() throws Exception {
    try (TrainableModel model = digits()) {
      assertEquals(Set.of("image"), model.inputs().keySet());
      assertArrayEquals(new long[] {-1, 8, 8, 1}, model.inputs().get("image").shape().asArray());
      assertEquals(Set.of("probabilities"), model.inference().outputs().keySet());
      assertArrayEquals(
          new long[] {-1, 10}, model.inference().outputs().get("probabilities").shape().asArray());
      assertEquals(38_282, model.variables().stream().mapToLong(v -> v.shape().size()).sum());
      assertTrue(model.variables().stream().allMatch(ModelVariable::trainable));
      assertEquals(Shape.of(3, 3, 1, 16), model.variables().get(0).shape());
    }
  }

  @Test
  void flatCopyPredictsWhatTheModelPredicts() throws Exception {
    float[] expected;
    try (SavedModelBundle bundle = SavedModelBundle.load(DIGITS.toString());
        TFloat32 images = images();
        var results = bundle.function(SIGNATURE).call(Map.of("image", images))) {
      expected = floats((TFloat32) results.get("probabilities").orElseThrow());
    }
    try (TrainableModel model = digits()) {
      assertArrayEquals(expected, predict(model), 1e-6f);
    }
  }

  @Test
  void outputsHaveGradientsForAllVariables() throws Exception {
    try (TrainableModel model = digits();
        TFloat32 images = images()) {
      requireGradients(model, "probabilities");
      Output<?>[] handles =
          model.variables().stream().map(ModelVariable::handle).toArray(Output<?>[]::new);
      Output<?> first =
          Ops.create(model.graph())
              .math
              .log(model.inference().outputs().get("probabilities").expect(TFloat32.class))
              .asOutput();
      Output<?>[] gradients = model.graph().addGradients(first, handles);
      for (int i = 0; i < gradients.length; i++) {
        try (Tensor gradient =
            model
                .session()
                .runner()
                .feed(model.inputs().get("image"), images)
                .fetch(gradients[i])
                .run()
                .get(0)) {
          assertEquals(model.variables().get(i).shape(), gradient.shape());
        }
      }
    }
  }

  @Test
  void variablesOfTheFlatCopyAreTheModelsOwn() throws Exception {
    try (TrainableModel model = digits();
        TFloat32 images = images()) {
      shiftVariables(model, 0.01f);
      var original = model.graph().operationOrThrow("StatefulPartitionedCall").output(0);
      var placeholder = model.graph().operationOrThrow("serving_default_image").output(0);
      try (Tensor result =
          model.session().runner().feed(placeholder, images).fetch(original).run().get(0)) {
        assertArrayEquals(floats((TFloat32) result), predict(model), 1e-6f);
      }
    }
  }

  @Test
  void unknownNamesAreAnsweredWithThoseThereAre() throws Exception {
    assertBadInput(
        IllegalArgumentException.class,
        "[serving_default]",
        () -> TrainableModel.load(DIGITS, "train"));
    try (TrainableModel model = digits()) {
      assertBadInput(
          IllegalArgumentException.class,
          "[probabilities]",
          () -> requireGradients(model, "logits"));
    }
  }

  @Test
  void missingFilesAreNamed() throws Exception {
    assertBadInput(
        IOException.class, "no folder", () -> TrainableModel.load(folder.resolve("no"), SIGNATURE));
    assertBadInput(
        IOException.class, "no saved_model.pb", () -> TrainableModel.load(folder, SIGNATURE));
    assertBadInput(
        IOException.class,
        "not a folder",
        () -> TrainableModel.load(DIGITS.resolve("saved_model.pb"), SIGNATURE));
    for (String file : List.of("variables.index", "variables.data-00000-of-00001")) {
      Path model = folder.resolve(file);
      copy(DIGITS, model);
      Files.delete(model.resolve("variables").resolve(file));
      assertBadInput(
          IOException.class, "variables are missing", () -> TrainableModel.load(model, SIGNATURE));
    }
    Path model = folder.resolve("without");
    copy(DIGITS, model);
    try (Stream<Path> files = Files.list(model.resolve("variables"))) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(model.resolve("variables"));
    assertBadInput(
        IOException.class, "variables are missing", () -> TrainableModel.load(model, SIGNATURE));
  }

  @Test
  void truncatedFilesAreRefused() throws Exception {
    for (String file :
        List.of(
            "saved_model.pb",
            "variables/variables.index",
            "variables/variables.data-00000-of-00001")) {
      byte[] whole = Files.readAllBytes(DIGITS.resolve(file));
      for (int length : new int[] {0, 1, whole.length / 2, whole.length - 1}) {
        Path model = folder.resolve(file.replace('/', '-') + length);
        copy(DIGITS, model);
        Files.write(model.resolve(file), Arrays.copyOf(whole, length));
        assertBadInput(
            IOException.class, model.toString(), () -> TrainableModel.load(model, SIGNATURE));
      }
    }
  }

  @Test
  void inconsistentFunctionsAreRefused() throws Exception {
    Path model = folder.resolve("model");
    copy(DIGITS, model);
    SavedModel.Builder saved =
        SavedModel.parseFrom(Files.readAllBytes(DIGITS.resolve("saved_model.pb"))).toBuilder();
    saved.getMetaGraphsBuilder(0).getGraphDefBuilder().getLibraryBuilder().clearFunction();
    Files.write(model.resolve("saved_model.pb"), saved.build().toByteArray());
    assertBadInput(
        IllegalArgumentException.class,
        "unknown function",
        () -> TrainableModel.load(model, SIGNATURE));
  }
}
