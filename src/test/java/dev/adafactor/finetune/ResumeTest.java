package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.LogCapture;
import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.files.Bundles;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.savedmodel.Mode;
import dev.adafactor.schedules.CosineDecay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.types.TFloat32;

/** A job that was interrupted and goes on. */
class ResumeTest {
  private static final int STEPS_PER_EPOCH = 22;

  @TempDir Path folder;

  private static FineTuning.Builder job() {
    return Digits.job().batchSize(64).seed(7).epochs(3);
  }

  private static TrainingListener stopAfter(long step, StopRequest stop) {
    return new TrainingListener() {
      @Override
      public void stepped(Step done) {
        if (done.number() == step) {
          stop.stop();
        }
      }
    };
  }

  private static byte[] variables(Path model) throws IOException {
    return Files.readAllBytes(model.resolve("variables/variables.data-00000-of-00001"));
  }

  @Test
  void endsAsIfNeverInterrupted() throws IOException {
    List<UnaryOperator<FineTuning.Builder>> jobs =
        List.of(
            plain -> plain,
            rich ->
                rich.microBatchSize(24)
                    .validationSplit(0.1)
                    .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 0.5))
                    .optimizer(
                        graph ->
                            Adafactor.builder(graph)
                                .learningRate(new CosineDecay(0.05, 40))
                                .useEma(true)
                                .build()));
    for (int i = 0; i < jobs.size(); i++) {
      Path whole = folder.resolve("whole-" + i);
      FineTuningResult expected = jobs.get(i).apply(job()).export(whole).build().run();
      Path resumed = folder.resolve("resumed-" + i);
      Path checkpoints = folder.resolve("checkpoints-" + i);
      for (long stopped : new long[] {5, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 9}) {
        StopRequest stop = new StopRequest();
        FineTuningResult part =
            jobs.get(i)
                .apply(job())
                .checkpoint(checkpoints)
                .checkpointEvery(4)
                .resume()
                .build()
                .run(stop, stopAfter(stopped, stop));
        assertEquals(Ending.INTERRUPTED, part.ending());
      }
      FineTuningResult rest =
          jobs.get(i).apply(job()).checkpoint(checkpoints).resume().export(resumed).build().run();
      assertArrayEquals(variables(whole), variables(resumed), "job " + i);
      assertFalse(Arrays.equals(variables(Digits.MODEL), variables(resumed)));
      assertEquals(expected.epochs(), rest.epochs());
      assertEquals(expected.bestEpoch(), rest.bestEpoch());
      assertEquals(expected.ending(), rest.ending());
    }
  }

  @Test
  void doesNotTrainOnAfterItStoppedEarly() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    List<FineTuningResult> results = new ArrayList<>();
    for (String export : List.of("first", "second")) {
      results.add(
          job()
              .epochs(9)
              .validationSplit(0.1)
              .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 9))
              .checkpoint(checkpoints)
              .resume()
              .export(folder.resolve(export))
              .build()
              .run());
    }
    assertEquals(Ending.STOPPED_EARLY, results.get(0).ending());
    assertEquals(Ending.STOPPED_EARLY, results.get(1).ending());
    assertEquals(List.of(), results.get(1).steps());
    assertEquals(results.get(0).epochs(), results.get(1).epochs());
    assertArrayEquals(variables(folder.resolve("first")), variables(folder.resolve("second")));
  }

  @Test
  void refusesToGoOnInAnotherWay() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).checkpoint(checkpoints).build().run();
    assertMessage(
        "mode training, this one has inference",
        job().mode(Mode.INFERENCE).checkpoint(checkpoints).resume().build());
    assertMessage(
        "class-weight {}, this one has {3=2.0}",
        job().classWeight(3, 2).checkpoint(checkpoints).resume().build());
  }

  @Test
  void trainsLonger() throws IOException {
    Path once = folder.resolve("once");
    job().epochs(2).export(once).build().run();
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).checkpoint(checkpoints).build().run();
    Path twice = folder.resolve("twice");
    job().epochs(2).checkpoint(checkpoints).resume().export(twice).build().run();
    assertArrayEquals(variables(once), variables(twice));
  }

  @Test
  void refusesAnotherJobAndCheckpointsThatWouldBeMixed() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).checkpoint(checkpoints).keepCheckpoints(1).build().run();
    assertMessage(
        "ckpt-22' is of a job with batch-size 64, this one has 32",
        job().batchSize(32).checkpoint(checkpoints).resume().build());
    assertMessage("resume from them (--resume)", job().checkpoint(checkpoints).build());
    assertMessage(
        "is of a job with use_ema false, this one has true",
        job()
            .optimizer(graph -> Adafactor.builder(graph).useEma(true).build())
            .checkpoint(checkpoints)
            .resume()
            .build());
    assertThrows(IllegalArgumentException.class, () -> job().resume().build());
    assertThrows(IllegalArgumentException.class, () -> job().checkpointEvery(0));
  }

  @Test
  void refusesToDoLessThanIsDone() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(2).checkpoint(checkpoints).build().run();
    assertMessage(
        "in epoch 2 already (44 steps of 22 each); give 2 or more",
        job().epochs(1).checkpoint(checkpoints).resume().build());
    assertEquals(List.of(), job().epochs(2).checkpoint(checkpoints).resume().build().run().steps());
  }

  private static void assertMessage(String part, FineTuning job) {
    String message = assertThrows(IllegalArgumentException.class, job::run).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void keepsTheLastGoodCheckpoint() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    NotFiniteLossException thrown =
        assertThrows(
            NotFiniteLossException.class,
            () ->
                job()
                    .optimizer(
                        graph ->
                            Adafactor.builder(graph)
                                .learningRate(
                                    (tf, step) ->
                                        tf.math.log(
                                            tf.math.sub(
                                                tf.constant(10.5f),
                                                tf.dtypes.cast(step, TFloat32.class))))
                                .build())
                    .checkpoint(checkpoints)
                    .checkpointEvery(1)
                    .build()
                    .run());
    assertTrue(thrown.getMessage().contains("/ckpt-11'"), thrown.getMessage());
    assertTrue(Files.exists(checkpoints.resolve("checkpoint")));
  }

  @Test
  void aFolderOfCheckpointsIsForOneJobAtATime() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    List<String> refusals = new ArrayList<>();
    TrainingListener rival =
        new TrainingListener() {
          @Override
          public void planned(Plan plan) {
            FineTuning second = job().epochs(1).checkpoint(checkpoints).resume().build();
            refusals.add(assertThrows(IllegalArgumentException.class, second::run).getMessage());
          }
        };
    job().epochs(1).checkpoint(checkpoints).build().run(rival);
    assertEquals(1, refusals.size());
    assertTrue(refusals.get(0).contains("is in use by another job"), refusals.get(0));
    job().epochs(2).checkpoint(checkpoints).resume().build().run();
  }

  /** What a power cut leaves of the newest checkpoint: the job loses that one, and no more. */
  @ParameterizedTest
  @CsvSource({
    "index, 0",
    "index, 0.3",
    "index, 0.99",
    "data-00000-of-00001, 0",
    "data-00000-of-00001, 0.5",
    "data-00000-of-00001, 0.999"
  })
  void takesTheOneBeforeWhereTheNewestIsCutOff(String file, double left) throws IOException {
    Path whole = folder.resolve("whole");
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).checkpoint(checkpoints).checkpointEvery(20).export(whole).build().run();
    Path newest = checkpoints.resolve("ckpt-22." + file);
    byte[] bytes = Files.readAllBytes(newest);
    Files.write(newest, Arrays.copyOf(bytes, (int) (left * bytes.length)));
    if (left == 0) {
      Files.write(checkpoints.resolve("checkpoint"), new byte[0]);
    }
    assertResumesFrom20(checkpoints, whole);
  }

  private void assertResumesFrom20(Path checkpoints, Path whole) throws IOException {
    List<String> from = new ArrayList<>();
    Path resumed = folder.resolve("resumed");
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      job()
          .epochs(1)
          .checkpoint(checkpoints)
          .resume()
          .export(resumed)
          .build()
          .run(
              new TrainingListener() {
                @Override
                public void resumed(Path checkpoint, long steps) {
                  from.add(checkpoint.getFileName() + " after " + steps);
                }
              });
      assertTrue(
          log.messages().stream().anyMatch(line -> line.contains("ckpt-22' is passed over")),
          () -> log.messages().toString());
    }
    assertEquals(List.of("ckpt-20 after 20"), from);
    assertArrayEquals(variables(whole), variables(resumed));
  }

  /** Its checksums are right, and no job goes on from it. */
  @ParameterizedTest
  @ValueSource(strings = {"NaN in a slot", "another job's steps"})
  void takesTheOneBeforeWhereTheNewestSaysWhatCannotBe(String what) throws IOException {
    Path whole = folder.resolve("whole");
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).checkpoint(checkpoints).checkpointEvery(20).export(whole).build().run();
    Path newest = checkpoints.resolve("ckpt-22");
    if (what.startsWith("NaN")) {
      Bundles.change(newest, "optimizer/_variables/1/", values -> values.putFloat(0, Float.NaN));
    } else {
      Bundles.change(newest, "optimizer/_iterations/", values -> values.putLong(0, 7));
    }
    assertResumesFrom20(checkpoints, whole);
  }
}
