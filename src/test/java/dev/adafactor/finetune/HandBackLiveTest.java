package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Restored;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorKind;
import dev.adafactor.files.VariableKey;
import dev.adafactor.python.Python;
import dev.adafactor.schedules.CosineDecay;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.DataType;

/** What Python has compiled and trained, trained on in Java and then in Python again. */
@Tag("live")
class HandBackLiveTest {
  /** Of the largest element of a variable. */
  private static final double FRACTION = 1e-4;

  private static final long STEPS = 6;

  @TempDir static Path folder;

  @BeforeAll
  static void trainInPython() throws Exception {
    Python.run("hand_back.py", "begin", folder);
  }

  /** Beside Python, which trains all the way. */
  @Test
  void exportsTheStateOfTheNewWeights() throws Exception {
    train(
        "averaged",
        "handed",
        HandBackLiveTest::averaged,
        builder -> builder.restore(folder.resolve("averaged")));
    assertSame("whole", "handed");
    Python.run("hand_back.py", "go_on", folder, "handed");
    assertSame("end", "handed-end");
    assertEquals(
        OptionalLong.of(2 * STEPS),
        train(
                "handed",
                "again",
                HandBackLiveTest::averaged,
                builder -> builder.restore(folder.resolve("handed")))
            .iterations());
    assertSame("end", "handed-end");
  }

  @Test
  void exportsTheStateOfAJobThatBeganAnew() throws IOException {
    train("plain", "anew", builder -> builder.learningRate(0.01), builder -> builder);
    TensorBundle anew = bundle("anew");
    assertEquals(OptionalLong.of(STEPS), anew.integer(VariableKey.of("optimizer/_iterations")));
    assertArrayEquals(
        new float[] {0.01f}, floats(anew, VariableKey.of("optimizer/_learning_rate")));
  }

  /** Its state is of the old weights; what goes on from there would take their way back. */
  @Test
  void resetsAnAdafactorOfAnotherKind() throws Exception {
    UnaryOperator<Adafactor.Builder> plain = builder -> builder.learningRate(0.02);
    train("averaged", "reset", plain, builder -> builder);
    TensorBundle reset = bundle("reset");
    assertEquals(OptionalLong.of(0), reset.integer(VariableKey.of("optimizer/_iterations")));
    List<String> trained =
        List.of(
            "layer_with_weights-0/kernel",
            "layer_with_weights-0/bias",
            "layer_with_weights-1/kernel",
            "layer_with_weights-1/bias");
    for (int i = 1; i <= 12; i++) {
      float[] state = floats(reset, VariableKey.of("optimizer/_variables/" + i));
      assertArrayEquals(
          i <= 4 ? floats(reset, VariableKey.of(trained.get(i - 1))) : new float[state.length],
          state);
    }
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                train("plain", "none", plain, builder -> builder.restore(folder.resolve("reset"))));
    assertTrue(refused.getMessage().contains("moving averages (use_ema)"), refused.getMessage());
    assertEquals(
        OptionalLong.of(0),
        train(
                "averaged",
                "on",
                HandBackLiveTest::averaged,
                builder -> builder.restore(folder.resolve("reset")))
            .iterations());
    Python.run("hand_back.py", "go_on", folder, "reset");
    assertEquals(
        OptionalLong.of(STEPS),
        bundle("reset-end").integer(VariableKey.of("optimizer/_iterations")));
  }

  @Test
  void leavesAnotherOptimizerAsItWas() throws IOException {
    train("adam", "still-adam", builder -> builder, builder -> builder);
    TensorBundle before = bundle("adam");
    TensorBundle after = bundle("still-adam");
    for (String key : before.tensors().keySet()) {
      if (key.startsWith("optimizer/")) {
        assertArrayEquals(before.elements(key), after.elements(key), key);
      }
    }
    assertThrows(
        IllegalArgumentException.class,
        () ->
            train(
                "plain",
                "none",
                builder -> builder,
                builder -> builder.restore(folder.resolve("still-adam"))));
  }

  /** There is no place for the state of an optimizer that was not used: it is as it was. */
  @Test
  void exportsACompiledModelThatWasNotTrained() throws IOException {
    train("unused", "once", builder -> builder, builder -> builder);
    assertEquals(
        OptionalLong.of(0), bundle("once").integer(VariableKey.of("optimizer/_iterations")));
    Restored restored =
        train("unused", "twice", builder -> builder, b -> b.restore(folder.resolve("once")));
    assertEquals(OptionalLong.empty(), restored.iterations());
    assertEquals(OptionalDouble.empty(), restored.learningRate());
  }

  private static Adafactor.Builder averaged(Adafactor.Builder builder) {
    return builder
        .learningRate(new CosineDecay(0.1, 30))
        .useEma(true)
        .emaMomentum(0.9)
        .emaOverwriteFrequency(4);
  }

  private static Restored train(
      String model,
      String export,
      UnaryOperator<Adafactor.Builder> optimizer,
      UnaryOperator<FineTuning.Builder> begin)
      throws IOException {
    List<Restored> heard = new ArrayList<>();
    begin
        .apply(
            FineTuning.builder(folder.resolve(model), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
                .features(folder.resolve("features.npy"))
                .labels(folder.resolve("labels.npy"))
                .batchSize(16)
                .inFileOrder()
                .optimizer(graph -> optimizer.apply(Adafactor.builder(graph)).build())
                .export(folder.resolve(export)))
        .build()
        .run(
            new TrainingListener() {
              @Override
              public void restored(Restored restored) {
                heard.add(restored);
              }
            });
    return heard.isEmpty() ? null : heard.get(0);
  }

  /** All of the optimizer's variables and of the model's; metrics are another matter. */
  private static void assertSame(String expected, String actual) throws IOException {
    TensorBundle ours = bundle(actual);
    TensorBundle theirs = bundle(expected);
    int compared = 0;
    for (Map.Entry<String, TensorKind> tensor : theirs.tensors().entrySet()) {
      String key = tensor.getKey();
      boolean counts = key.startsWith("optimizer/") || key.startsWith("layer_with_weights");
      // What says nothing is there only where Python has built the optimizer itself.
      if (!counts || tensor.getValue().dtype() == DataType.DT_INT32) {
        continue;
      }
      compared++;
      assertEquals(tensor.getValue(), ours.tensors().get(key), key);
      if (tensor.getValue().dtype() != DataType.DT_FLOAT) {
        assertArrayEquals(theirs.elements(key), ours.elements(key), key);
        continue;
      }
      float[] wanted = floats(theirs, key);
      float[] given = floats(ours, key);
      float largest = 0;
      float apart = 0;
      for (int i = 0; i < wanted.length; i++) {
        largest = Math.max(largest, Math.abs(wanted[i]));
        apart = Math.max(apart, Math.abs(wanted[i] - given[i]));
      }
      assertTrue(
          largest > 0 && apart <= FRACTION * largest,
          "%s is apart by %s, its largest is %s".formatted(key, apart, largest));
    }
    assertTrue(compared >= 18, "compared " + compared);
  }

  private static TensorBundle bundle(String model) throws IOException {
    return TensorBundle.read(folder.resolve(model).resolve("variables").resolve("variables"));
  }

  private static float[] floats(TensorBundle bundle, String key) throws IOException {
    FloatBuffer elements =
        ByteBuffer.wrap(bundle.elements(key)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    float[] floats = new float[elements.remaining()];
    elements.get(floats);
    return floats;
  }
}
