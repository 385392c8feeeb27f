package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Restored;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.python.Python;
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
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Result;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/** Python trains for a while, Java goes on: beside Python, which trains all the way. */
@Tag("live")
@Tag("newest")
class RestoreLiveTest {
  /** Of the way that Python goes in the second half. */
  private static final double FRACTION = 1e-4;

  @TempDir static Path folder;

  @BeforeAll
  static void trainInPython() throws Exception {
    Python.run("keras_states.py", folder);
  }

  @ParameterizedTest
  @ValueSource(strings = {"manager", "manager/ckpt-1", "weights", "trained"})
  void goesOnWherePythonWas(String state) throws IOException {
    Path export = folder.resolve("export-" + state.replace('/', '-'));
    // The optimizer in the model that is trained itself, or beside it.
    Restored restored =
        RestoreTest.run(
            FineTuning.builder(
                    folder.resolve(state.equals("trained") ? "trained" : "model"),
                    Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
                .features(folder.resolve("features.npy"))
                .labels(folder.resolve("labels.npy"))
                .batchSize(16)
                .inFileOrder()
                .optimizer(
                    graph ->
                        Adafactor.builder(graph).learningRate(new CosineDecay(0.1, 20)).build())
                .restore(folder.resolve(state))
                .export(export));
    assertEquals(OptionalLong.of(6), restored.iterations());
    assertEquals(4, restored.states());
    assertEquals(List.of(), restored.left());
    double way = 0;
    double apart = 0;
    List<float[]> values = trainable(export);
    assertEquals(4, values.size());
    for (int i = 0; i < values.size(); i++) {
      FloatBuffer half = floats("half-%d.bin".formatted(i));
      FloatBuffer whole = floats("whole-%d.bin".formatted(i));
      assertEquals(whole.capacity(), values.get(i).length);
      for (int j = 0; j < whole.capacity(); j++) {
        way = Math.max(way, Math.abs(whole.get(j) - half.get(j)));
        apart = Math.max(apart, Math.abs(whole.get(j) - values.get(i)[j]));
      }
    }
    assertTrue(way > 0);
    System.out.printf("%s: %.2g of the way%n", state, apart / way);
    assertTrue(apart <= FRACTION * way, "%s apart after a way of %s".formatted(apart, way));
  }

  /** Compiled, and not trained: its optimizer has no state yet. */
  @ParameterizedTest
  @ValueSource(strings = {"model", "unused"})
  void beginsAnewWherePythonHasNotBegun(String state) throws IOException {
    Restored restored =
        RestoreTest.run(
            FineTuning.builder(folder.resolve("trained"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
                .features(folder.resolve("features.npy"))
                .labels(folder.resolve("labels.npy"))
                .restore(folder.resolve(state)));
    assertEquals(4, restored.variables());
    assertEquals(0, restored.states());
    assertEquals(OptionalLong.empty(), restored.iterations());
    assertEquals(OptionalDouble.empty(), restored.learningRate());
  }

  private static FloatBuffer floats(String name) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(folder.resolve(name)))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer();
  }

  private static List<float[]> trainable(Path saved) throws IOException {
    List<float[]> values = new ArrayList<>();
    try (TrainableModel model = TrainableModel.load(saved, "serving_default")) {
      Ops tf = Ops.create(model.graph());
      for (ModelVariable variable : model.variables()) {
        try (Result result =
            model
                .session()
                .runner()
                .fetch(new RawVariable(variable.handle(), variable.dtype()).read(tf))
                .run()) {
          TFloat32 tensor = (TFloat32) result.get(0);
          float[] elements = new float[Math.toIntExact(tensor.size())];
          tensor.asRawTensor().data().asFloats().read(elements);
          values.add(elements);
        }
      }
    }
    return values;
  }
}
