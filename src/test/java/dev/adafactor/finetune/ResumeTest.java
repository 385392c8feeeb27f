package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.JitCompile;
import dev.adafactor.LogCapture;
import dev.adafactor.Numerics;
import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.files.Bundles;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.savedmodel.Mode;
import dev.adafactor.schedules.CosineDecay;
import dev.adafactor.schedules.ExponentialDecay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.ndarray.Shape;
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

  /** Jobs of which each has something that a checkpoint must hold, or give again. */
  private enum Kind {
    PLAIN,
    PARTS_EARLY_STOPPING_AND_SCHEDULE {
      @Override
      FineTuning.Builder of(FineTuning.Builder job, Path folder) {
        return job.microBatchSize(24)
            .validationSplit(0.1)
            .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 0.5))
            .optimizer(
                graph ->
                    Adafactor.builder(graph)
                        .learningRate(new CosineDecay(0.05, 40))
                        .useEma(true)
                        .build());
      }
    },
    AVERAGES_THAT_OVERWRITE {
      @Override
      FineTuning.Builder of(FineTuning.Builder job, Path folder) {
        return job.optimizer(
            graph ->
                Adafactor.builder(graph)
                    .learningRate(new ExponentialDecay(0.05, 10, 0.5))
                    .weightDecay(0.01)
                    .useEma(true)
                    .emaMomentum(0.9)
                    .emaOverwriteFrequency(7)
                    .build());
      }
    },
    SHARDS_AND_WEIGHTS {
      @Override
      FineTuning.Builder of(FineTuning.Builder job, Path folder) throws IOException {
        Random random = new Random(5);
        long[] rows = {100, 1, 1246};
        for (int shard = 0; shard < rows.length; shard++) {
          float[] weights = new float[(int) rows[shard]];
          for (int i = 0; i < weights.length; i++) {
            weights[i] = random.nextFloat();
          }
          Path file = Files.createDirectories(folder.resolve("weights")).resolve("part-" + shard);
          NpyFiles.floats(Path.of(file + ".npy"), Shape.of(rows[shard]), weights);
        }
        return job.sampleWeights(folder.resolve("weights")).classWeight(4, 3);
      }
    },
    NUMERICS_OF_TF_KERAS {
      @Override
      FineTuning.Builder of(FineTuning.Builder job, Path folder) {
        return job.optimizer(
            graph ->
                Adafactor.builder(graph)
                    .learningRate(0.03)
                    .epsilon1(1e-16)
                    .numerics(Numerics.TF_KERAS)
                    .build());
      }
    },
    COMPILED {
      @Override
      FineTuning.Builder of(FineTuning.Builder job, Path folder) {
        return job.optimizer(
            graph ->
                Adafactor.builder(graph).learningRate(0.03).jitCompile(JitCompile.ALWAYS).build());
      }
    };

    FineTuning.Builder of(FineTuning.Builder job, Path folder) throws IOException {
      return job;
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void endsAsIfNeverInterrupted(Kind kind) throws IOException {
    Path whole = folder.resolve("whole");
    FineTuningResult expected = kind.of(job(), folder).export(whole).build().run();
    Path resumed = folder.resolve("resumed");
    Path checkpoints = folder.resolve("checkpoints");
    for (long stopped : new long[] {5, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 9}) {
      StopRequest stop = new StopRequest();
      FineTuningResult part =
          kind.of(job(), folder)
              .checkpoint(checkpoints)
              .checkpointEvery(4)
              .resume()
              .build()
              .run(stop, stopAfter(stopped, stop));
      assertEquals(Ending.INTERRUPTED, part.ending());
    }
    FineTuningResult rest =
        kind.of(job(), folder).checkpoint(checkpoints).resume().export(resumed).build().run();
    assertArrayEquals(variables(whole), variables(resumed));
    assertFalse(Arrays.equals(variables(Digits.MODEL), variables(resumed)));
    assertEquals(expected.epochs(), rest.epochs());
    assertEquals(expected.bestEpoch(), rest.bestEpoch());
    assertEquals(expected.ending(), rest.ending());
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

  private static FineTuning.Builder stoppingEarly() {
    return job()
        .epochs(1)
        .validationSplit(0.1)
        .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 0));
  }

  /** What the best epoch's variables were is state like any other. */
  @Test
  void looksAtWhatIsKeptOfTheBestEpoch() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    stoppingEarly().checkpoint(checkpoints).checkpointEvery(10).build().run();
    Path newest = checkpoints.resolve("ckpt-19");
    String best = "dev.adafactor/fine_tuning/best/0";
    Bundles.change(newest, best, values -> values.putFloat(4, Float.NaN));
    List<Path> from = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void resumed(Path checkpoint, long steps) {
            from.add(checkpoint.getFileName());
          }
        };
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      stoppingEarly().checkpoint(checkpoints).resume().build().run(listener);
      assertEquals(1, log.messages().size(), () -> log.messages().toString());
      assertTrue(
          log.messages().get(0).contains("values that are NaN, of '" + best + "'"),
          () -> log.messages().toString());
    }
    assertEquals(List.of(Path.of("ckpt-10")), from);
    Path last = checkpoints.resolve("ckpt-19");
    Bundles.reshape(last, best, 3, 3, 16, 1);
    Files.delete(checkpoints.resolve("checkpoint"));
    assertMessage(
        "its '%s' has the shape [3, 3, 16, 1] in place of [3, 3, 1, 16]".formatted(best),
        stoppingEarly().checkpoint(checkpoints).resume().build());
    Bundles.remove(last, best);
    assertMessage(
        "it has no '%s'".formatted(best), stoppingEarly().checkpoint(checkpoints).resume().build());
  }

  /** As Python goes on with a job's checkpoint, which began with the state of another job. */
  private Path goneOnInPython(int iterations) throws IOException {
    Path left = folder.resolve("left");
    job().epochs(1).checkpoint(left).build().run();
    Path checkpoints = folder.resolve("checkpoints");
    job().epochs(1).restore(left).checkpoint(checkpoints).build().run();
    for (String ending : List.of(".index", ".data-00000-of-00001")) {
      Files.copy(checkpoints.resolve("ckpt-22" + ending), checkpoints.resolve("ckpt-23" + ending));
    }
    Path python = checkpoints.resolve("ckpt-23");
    Bundles.remove(python, "dev.adafactor/note");
    Bundles.change(python, "optimizer/_iterations/", values -> values.putLong(0, iterations));
    Files.delete(checkpoints.resolve("checkpoint"));
    return checkpoints;
  }

  @Test
  void countsTheStepsOfPythonFromWhereTheJobBegan() throws IOException {
    Path checkpoints = goneOnInPython(2 * STEPS_PER_EPOCH + 6);
    List<Long> heard = new ArrayList<>();
    FineTuningResult rest =
        job()
            .epochs(2)
            .checkpoint(checkpoints)
            .resume()
            .build()
            .run(
                new TrainingListener() {
                  @Override
                  public void resumed(Path checkpoint, long steps) {
                    heard.add(steps);
                  }
                });
    assertEquals(List.of(STEPS_PER_EPOCH + 6L), heard);
    assertEquals(STEPS_PER_EPOCH - 6, rest.steps().size());
  }

  @Test
  void refusesStepsOfPythonThatAreNotThoseOfTheJob() throws IOException {
    Path checkpoints = goneOnInPython(STEPS_PER_EPOCH - 1);
    assertMessage(
        "ckpt-23' is of a job with batch-size 64, this one has 32",
        job().batchSize(32).checkpoint(checkpoints).resume().build());
    try (LogCapture log = new LogCapture(CheckpointFolder.class)) {
      job().epochs(1).checkpoint(checkpoints).resume().build().run();
      assertEquals(1, log.messages().size(), () -> log.messages().toString());
      assertTrue(
          log.messages().get(0).contains("done 21 steps, the job began after 22"),
          () -> log.messages().toString());
    }
  }
}
