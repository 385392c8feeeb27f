package dev.adafactor.checkpoint;

import static dev.adafactor.checkpoint.Content.Judge.TAKES_ALL;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.Elements;
import dev.adafactor.Snapshot;
import dev.adafactor.TensorValue;
import dev.adafactor.checkpoint.MeshTraining.Weight;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorKind;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.schedules.CosineDecay;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/** In files the state of sharded variables is that of variables in one piece. */
class ShardedStateTest {

  private static final List<Weight> WEIGHTS =
      List.of(
          new Weight("dense/kernel", TFloat32.class, Shape.of(8, 12)),
          new Weight("dense/bias", TFloat32.class, Shape.of(12)),
          new Weight("scale", TFloat32.class, Shape.scalar()),
          new Weight("cube", TFloat64.class, Shape.of(3, 4, 6)),
          new Weight("half", TFloat16.class, Shape.of(4, 6)),
          new Weight("brain", TBfloat16.class, Shape.of(6, 4)));

  private static final List<Weight> BESIDE =
      List.of(new Weight("seen", TFloat32.class, Shape.of(4, 4)));

  private static final Map<String, UnaryOperator<Adafactor.Builder>> OPTIMIZERS =
      Map.of(
          "number", builder -> builder.learningRate(0.05).weightDecay(0.01),
          "averages", builder -> builder.learningRate(0.02).useEma(true),
          "schedule and averages",
              builder ->
                  builder
                      .learningRate(new CosineDecay(0.1, 10))
                      .useEma(true)
                      .emaOverwriteFrequency(4));

  @TempDir Path folder;

  private static MeshTraining training(String mesh, String optimizer) {
    return training(mesh, optimizer, WEIGHTS);
  }

  private static MeshTraining training(String mesh, String optimizer, List<Weight> weights) {
    return new MeshTraining(
        mesh.equals("none") ? Optional.empty() : Optional.of(Mesh.virtualCpus(mesh)),
        OPTIMIZERS.get(optimizer),
        weights,
        BESIDE);
  }

  private byte[] saved(MeshTraining training) throws IOException {
    Path prefix = folder.resolve("look");
    training.state().save(prefix, "", 1);
    return data(prefix);
  }

  private static byte[] data(Path prefix) throws IOException {
    return Files.readAllBytes(prefix.resolveSibling(prefix.getFileName() + ".data-00000-of-00001"));
  }

  @ParameterizedTest
  @CsvSource({
    "'x=2,y=2', none, number",
    "'x=2,y=2', x=4, schedule and averages",
    "none, 'y=2,x=3', schedule and averages",
    "'z=2,y=3', x=2, number",
  })
  void goesOnUnderAnotherMesh(String there, String here, String optimizer) throws IOException {
    Path early = folder.resolve("early");
    byte[] back;
    Snapshot through;
    Snapshot moved;
    try (MeshTraining training = training(there, optimizer)) {
      training.train(3);
      training.state().save(early, "", 1);
      training.train(3);
      through = training.adafactor().snapshot(training.session());
    }
    try (MeshTraining training = training(here, optimizer)) {
      Restored restored = StoredState.find(early).restore(training.state(), Extent.ALL);
      assertEquals(WEIGHTS.size(), restored.states());
      assertEquals(WEIGHTS.size() + BESIDE.size(), restored.variables());
      back = saved(training);
      training.train(3);
      moved = training.adafactor().snapshot(training.session());
    }
    assertArrayEquals(data(early), back);
    assertClose(through, moved);
    try (MeshTraining training = training(there, optimizer)) {
      training.train(1);
      assertFalse(Arrays.equals(data(early), saved(training)));
      training.state().restore(folder.resolve("early"), Extent.ALL, TAKES_ALL);
      assertArrayEquals(data(early), saved(training));
    }
  }

  private static void assertClose(Snapshot expected, Snapshot actual) {
    assertEquals(expected.iterations(), actual.iterations());
    assertEquals(expected.learningRate(), actual.learningRate());
    for (Snapshot.OfVariable variable : expected.variables()) {
      Snapshot.OfVariable same = actual.variable(variable.name()).orElseThrow();
      assertClose(variable.value(), same.value());
      variable.slots().forEach((slot, value) -> assertClose(value, same.slots().get(slot)));
    }
  }

  private static void assertClose(TensorValue expected, TensorValue actual) {
    assertEquals(expected.shape(), actual.shape());
    double rounding =
        switch (expected.dtype()) {
          case DT_HALF -> 2e-3;
          case DT_BFLOAT16 -> 1.6e-2;
          case DT_DOUBLE -> 1e-12;
          default -> 1e-5;
        };
    try (TNumber theirs = expected.tensor();
        TNumber ours = actual.tensor()) {
      Elements.assertClose(Elements.copy(theirs), Elements.copy(ours), rounding);
    }
  }

  /** All replicas are set, not only those that the state is read from. */
  @Test
  void setsAllReplicas() throws IOException {
    Path early = folder.resolve("early");
    try (MeshTraining training = training("none", "number")) {
      training.train(1);
      training.state().save(early, "", 1);
    }
    try (MeshTraining training = training("z=3", "number")) {
      training.train(2);
      training.state().restore(early, Extent.ALL, TAKES_ALL);
      for (Weight weight : List.of(WEIGHTS.get(0), BESIDE.get(0))) {
        byte[] expected = element(early, "model/" + weight.name());
        for (int device = 0; device < 3; device++) {
          Output<?> replica =
              training
                  .session()
                  .graph()
                  .operation("%s/shard_%d".formatted(weight.name(), device))
                  .output(0);
          assertArrayEquals(expected, bytes(training.session(), replica));
        }
      }
    }
  }

  private static byte[] bytes(Session session, Output<?> tensor) {
    try (Result result = session.runner().fetch(tensor).run()) {
      ByteBuffer buffer = TensorValue.copyOf((TNumber) result.get(0)).bytes();
      byte[] bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      return bytes;
    }
  }

  private static final Map<String, List<Weight>> OTHERS =
      Map.of(
          "narrower", List.of(new Weight("dense/kernel", TFloat32.class, Shape.of(8, 4))),
          "wider type", List.of(new Weight("dense/kernel", TFloat64.class, Shape.of(8, 12))),
          "none of it", List.of(new Weight("other", TFloat32.class, Shape.of(8, 12))),
          "one more",
              List.of(
                  new Weight("dense/kernel", TFloat32.class, Shape.of(8, 12)),
                  new Weight("other", TFloat32.class, Shape.of(8, 12))));

  @ParameterizedTest
  @CsvSource({"narrower", "wider type", "none of it", "one more"})
  void refusesInTheSameWordsAndChangesNothing(String other) throws IOException {
    List<Weight> weights = WEIGHTS.subList(0, 1);
    Path theirs = folder.resolve("theirs");
    try (MeshTraining training = training("x=2", "number", OTHERS.get(other))) {
      training.state().save(theirs, "", 1);
    }
    List<String> messages = new ArrayList<>();
    for (String mesh : List.of("none", "x=2,y=2")) {
      try (MeshTraining training = training(mesh, "number", weights)) {
        training.train(1);
        byte[] before = saved(training);
        messages.add(
            assertThrows(
                    IllegalArgumentException.class,
                    () -> training.state().restore(theirs, Extent.ALL, TAKES_ALL))
                .getMessage());
        assertArrayEquals(before, saved(training));
      }
    }
    assertEquals(messages.get(0), messages.get(1));
    assertTrue(messages.get(0).contains("' is of another model: it"), messages.get(0));
  }

  @Test
  void refusesWhatIsDamagedAndChangesNothing() throws IOException {
    Path damaged = folder.resolve("damaged");
    try (MeshTraining training = training("x=2,y=2", "number")) {
      training.state().save(damaged, "", 1);
      Path file = damaged.resolveSibling("damaged.data-00000-of-00001");
      byte[] bytes = Files.readAllBytes(file);
      bytes[bytes.length / 2] ^= 1;
      Files.write(file, bytes);
      training.train(2);
      byte[] before = saved(training);
      assertThrows(
          IOException.class, () -> training.state().restore(damaged, Extent.ALL, TAKES_ALL));
      assertArrayEquals(before, saved(training));
    }
  }

  /** What fits is taken; averages that are not there begin with the variable. */
  @Test
  void takesWhatFits() throws IOException {
    Path theirs = folder.resolve("theirs");
    byte[] kernel;
    try (MeshTraining training = training("none", "number", WEIGHTS.subList(0, 1))) {
      training.train(2);
      training.state().save(theirs, "", 1);
      kernel = element(theirs, "model/dense/kernel");
    }
    try (MeshTraining training = training("x=2,y=3", "schedule and averages")) {
      Restored restored = StoredState.find(theirs).restore(training.state(), Extent.WHAT_FITS);
      assertEquals(2, restored.variables());
      Path ours = folder.resolve("ours");
      training.state().save(ours, "", 1);
      assertArrayEquals(kernel, element(ours, "model/dense/kernel"));
      assertArrayEquals(kernel, element(ours, "optimizer/_variables/1"));
    }
  }

  @Test
  void spreadsAModelsVariables() throws IOException {
    Path whole = folder.resolve("whole");
    Path spread = folder.resolve("spread");
    Path back = folder.resolve("back");
    try (DigitsJob job = new DigitsJob(OPTIMIZERS.get("averages"))) {
      job.train(3);
      job.state().save(whole, "", 1);
    }
    try (DigitsJob job =
        new DigitsJob(Optional.of(Mesh.virtualCpus("x=2,y=2")), OPTIMIZERS.get("averages"))) {
      job.train(3);
      job.state().save(spread, "", 1);
    }
    try (DigitsJob job = new DigitsJob(OPTIMIZERS.get("averages"))) {
      job.state().restore(spread, Extent.ALL, TAKES_ALL);
      job.state().save(back, "", 1);
    }
    assertArrayEquals(data(spread), data(back));
    TensorBundle expected = TensorBundle.read(whole);
    TensorBundle actual = TensorBundle.read(spread);
    assertEquals(expected.tensors(), actual.tensors());
    for (Map.Entry<String, TensorKind> tensor : expected.tensors().entrySet()) {
      if (tensor.getValue().dtype() == DataType.DT_FLOAT) {
        Elements.assertClose(
            floats(expected.elements(tensor.getKey())),
            floats(actual.elements(tensor.getKey())),
            1e-4);
      }
    }
  }

  private static double[] floats(byte[] bytes) {
    FloatBuffer floats = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    double[] elements = new double[floats.remaining()];
    Arrays.setAll(elements, floats::get);
    return elements;
  }

  /** A model's variables as the start of sharded ones that nothing else belongs to. */
  @Test
  void keepsCopiesOfAModelsVariables() throws IOException {
    Mesh mesh = Mesh.virtualCpus("x=2,y=2");
    Path copied = folder.resolve("copied");
    try (TrainableModel model =
        TrainableModel.load(
            Path.of("savedmodels", "digits"), "serving_default", Optional.empty(), mesh.config())) {
      Ops tf = Ops.create(model.graph());
      List<ModelVariable> variables =
          model.variables().stream().filter(ModelVariable::trainable).toList();
      Adafactor adafactor = Adafactor.builder(model.graph()).mesh(mesh).build();
      List<Operand<?>> copies = new ArrayList<>();
      List<Operand<TFloat32>> losses = new ArrayList<>();
      for (ModelVariable variable : variables) {
        Layout layout = Layout.ofMatrices(mesh, variable.shape());
        ShardedVariable<?> copy = ShardedVariable.copyOf(tf, variable.handle(), layout);
        copies.add(copy);
        losses.add(tf.nn.l2Loss(copy.asOutput().expect(TFloat32.class)));
      }
      Op train = adafactor.minimize(tf.math.addN(losses), copies);
      TrainingState state = TrainingState.of(model.session(), adafactor, List.of());
      model.session().initialize();
      state.save(copied, "", 1);
      for (ModelVariable variable : variables) {
        assertArrayEquals(
            bytes(model.session(), new RawVariable(variable.handle(), variable.dtype()).read(tf)),
            element(copied, "model/" + variable.name()));
      }
      model.session().run(train);
      state.restore(copied, Extent.ALL, TAKES_ALL);
      Path again = folder.resolve("again");
      state.save(again, "", 1);
      assertArrayEquals(data(copied), data(again));
    }
  }

  private static byte[] element(Path prefix, String path) throws IOException {
    return TensorBundle.read(prefix).elements(path + "/.ATTRIBUTES/VARIABLE_VALUE");
  }
}
