package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Restored;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Graph;

/** Jobs that begin with the state that another has left. */
class RestoreTest {
  private static final int STEPS_PER_EPOCH = 22;

  @TempDir static Path shared;
  @TempDir Path folder;

  private static Path left;

  private static FineTuning.Builder job() {
    return Digits.job().batchSize(64).inFileOrder();
  }

  private static Adafactor averaging(Graph graph) {
    return Adafactor.builder(graph).learningRate(0.03).useEma(true).build();
  }

  /** One epoch. */
  @BeforeAll
  static void leave() throws IOException {
    left = shared.resolve("left");
    job().checkpoint(left).build().run();
  }

  private static byte[] variables(Path model) throws IOException {
    return Files.readAllBytes(model.resolve("variables/variables.data-00000-of-00001"));
  }

  /** Does a job, and tells what it has put back. */
  static Restored run(FineTuning.Builder job) throws IOException {
    List<Restored> heard = new ArrayList<>();
    job.build()
        .run(
            new TrainingListener() {
              @Override
              public void restored(Restored restored) {
                heard.add(restored);
              }
            });
    assertEquals(1, heard.size());
    return heard.get(0);
  }

  /** The order is the file's: two epochs are the same as one after the other. */
  @Test
  void goesOnAsTheSameJobWould() throws IOException {
    job().epochs(2).export(folder.resolve("whole")).build().run();
    Restored restored = run(job().restore(left).export(folder.resolve("second")));
    assertArrayEquals(variables(folder.resolve("whole")), variables(folder.resolve("second")));
    assertEquals(left.resolve("ckpt-22"), restored.checkpoint());
    assertEquals(OptionalLong.of(STEPS_PER_EPOCH), restored.iterations());
    assertEquals(8, restored.variables());
    assertEquals(8, restored.states());
    assertEquals(List.of(), restored.left());
    assertEquals(List.of(), restored.unused());
  }

  /** Its checkpoints count its own steps, and the optimizer's are those of both. */
  @Test
  void isResumedAsAnyJob() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(2).restore(left).export(folder.resolve("whole")).build().run();
    job().restore(left).checkpoint(checkpoints).build().run();
    FineTuningResult rest =
        job()
            .epochs(2)
            .restore(left)
            .checkpoint(checkpoints)
            .resume()
            .export(folder.resolve("resumed"))
            .build()
            .run();
    assertEquals(STEPS_PER_EPOCH, rest.steps().size());
    assertArrayEquals(variables(folder.resolve("whole")), variables(folder.resolve("resumed")));
  }

  /** The values that a SavedModel has, and no optimizer. */
  @Test
  void takesAModelAlone() throws IOException {
    Path trained = folder.resolve("trained");
    job().export(trained).build().run();
    Restored restored = run(job().optimizer(RestoreTest::averaging).restore(trained));
    assertEquals(8, restored.variables());
    assertEquals(0, restored.states());
    assertEquals(OptionalLong.empty(), restored.iterations());
    // Moving averages start from the variables, wherever these come from.
    List<Path> models = List.of(folder.resolve("restored"), folder.resolve("loaded"));
    job().optimizer(RestoreTest::averaging).restore(trained).export(models.get(0)).build().run();
    FineTuning.builder(trained, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(Digits.TRAIN_IMAGES)
        .labels(Digits.TRAIN_LABELS)
        .batchSize(64)
        .inFileOrder()
        .optimizer(RestoreTest::averaging)
        .export(models.get(1))
        .build()
        .run();
    assertArrayEquals(variables(models.get(0)), variables(models.get(1)));
  }

  @Test
  void takesAPartOnlyWhereThatIsAskedFor() throws IOException {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> job().optimizer(RestoreTest::averaging).restore(left).build().run())
            .getMessage();
    assertTrue(message.contains("ckpt-22' is of another model or optimizer: its"), message);
    // A variable's state is taken whole or not at all, and averages are not in there.
    Restored none = run(job().optimizer(RestoreTest::averaging).restoreWhatFits(left));
    assertEquals(8, none.variables());
    assertEquals(0, none.states());
    // Nor are steps taken that nothing is known of.
    assertEquals(OptionalLong.empty(), none.iterations());
    assertEquals(OptionalDouble.empty(), none.learningRate());
    assertTrue(none.unused().contains("optimizer/_variables/1"), none::toString);

    assertThrows(
        IllegalArgumentException.class, () -> job().freeze("conv").restore(left).build().run());
    Restored some = run(job().freeze("conv").restoreWhatFits(left));
    assertEquals(8, some.variables());
    assertEquals(4, some.states());
    assertEquals(OptionalLong.of(STEPS_PER_EPOCH), some.iterations());
    assertEquals(List.of(), some.left());
    assertEquals(8, some.unused().size()); // r, c and v of two kernels, v of two biases
  }

  /** As in Python, the rate is part of the optimizer's state. */
  @Test
  void knowsTheRateThatComesWithTheState() throws IOException {
    List<Adafactor> made = new ArrayList<>();
    Restored restored =
        run(
            job()
                .optimizer(
                    graph -> {
                      made.add(Adafactor.builder(graph).learningRate(0.5).build());
                      return made.get(0);
                    })
                .restore(left));
    double rate = restored.learningRate().orElseThrow();
    assertTrue(rate < 0.5, restored::toString);
    double told =
        new JsonMapper().readTree(made.get(0).toJson()).get("learning_rate").doubleValue();
    assertEquals((float) rate, (float) told);
  }

  @Test
  void keepsTheStateThatItBeginsWith() throws IOException {
    Path trained = folder.resolve("trained");
    job().export(trained).build().run();
    byte[] before = variables(trained);
    for (Path state : List.of(trained, trained.resolve("variables/variables"))) {
      FineTuning job = job().restore(state).export(trained).overwrite().build();
      String message = assertThrows(IllegalArgumentException.class, job::run).getMessage();
      assertTrue(message.contains("the state to begin with"), message);
    }
    assertArrayEquals(before, variables(trained));
  }

  @ParameterizedTest
  @CsvSource({
    "weights.h5, model.save_weights('PREFIX'",
    "model.keras, tf.train.Checkpoint(",
    "ckpt-22.index, give their prefix",
    "ckpt-22.data-00000-of-00001, give their prefix",
    "notes.txt, is no checkpoint",
  })
  void refusesOtherFilesByName(String name, String part) throws IOException {
    Path file = Files.writeString(folder.resolve(name), "x");
    assertRefused(name, file);
    assertRefused(part, file);
  }

  @Test
  void refusesWhatIsNotThere() throws IOException {
    assertRefused("there is no", folder.resolve("nothing"));
    assertRefused("holds neither checkpoints", Files.createDirectory(folder.resolve("empty")));
    Path hdf5 = folder.resolve("weights");
    Files.write(hdf5, "\u0089HDF\r\n".getBytes(StandardCharsets.ISO_8859_1));
    assertRefused("HDF5", hdf5);
  }

  private static void assertRefused(String part, Path state) {
    FineTuning job = job().restore(state).build();
    String message = assertThrows(IOException.class, job::run).getMessage();
    assertTrue(message.contains(part), message);
  }
}
