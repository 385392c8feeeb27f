package dev.adafactor.checkpoint;

import static dev.adafactor.checkpoint.Content.Judge.TAKES_ALL;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.schedules.CosineDecay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;

class TrainingStateTest {
  @TempDir Path folder;

  @Test
  void goesOnAsIfNeverInterrupted() throws IOException {
    List<UnaryOperator<Adafactor.Builder>> optimizers =
        List.of(
            builder -> builder.learningRate(0.02),
            builder ->
                builder
                    .learningRate(new CosineDecay(0.1, 10))
                    .useEma(true)
                    .emaOverwriteFrequency(4));
    for (int i = 0; i < optimizers.size(); i++) {
      Path early = folder.resolve("early-" + i);
      Path through = folder.resolve("through-" + i);
      Path resumed = folder.resolve("resumed-" + i);
      try (DigitsJob job = new DigitsJob(optimizers.get(i))) {
        job.train(3);
        job.state().save(early, "three", 1);
        job.train(3);
        job.state().save(through, "six", 2);
      }
      try (DigitsJob job = new DigitsJob(optimizers.get(i))) {
        job.state()
            .restore(
                early, Extent.ALL, content -> assertEquals(Optional.of("three"), content.note()));
        job.train(3);
        job.state().save(resumed, "six", 2);
      }
      assertArrayEquals(data(through), data(resumed));
      assertFalse(Arrays.equals(data(early), data(through)));
    }
  }

  private static byte[] data(Path prefix) throws IOException {
    return Files.readAllBytes(prefix.resolveSibling(prefix.getFileName() + ".data-00000-of-00001"));
  }

  private static final Map<String, UnaryOperator<Adafactor.Builder>> OPTIMIZERS =
      Map.of(
          "plain", builder -> builder,
          "averaged", builder -> builder.useEma(true),
          "scheduled", builder -> builder.learningRate(new CosineDecay(0.1, 10)));

  /** In the words of the settings: the numbers of the variables differ with them. */
  @ParameterizedTest
  @CsvSource({
    "plain, averaged, 'optimizer: its optimizer keeps no moving averages (use_ema), this one does'",
    "averaged, plain, 'optimizer: its optimizer keeps moving averages (use_ema), this one does not'",
    "plain, scheduled, 'optimizer: its learning rate is a number, this one''s is a schedule'",
    "scheduled, plain, 'optimizer: its learning rate is a schedule, this one''s is a number'",
  })
  void refusesTheStateOfAnotherOptimizer(String there, String here, String end) throws IOException {
    Path other = folder.resolve("other");
    Path own = folder.resolve("own");
    try (DigitsJob job = new DigitsJob(OPTIMIZERS.get(there))) {
      job.state().save(other, "", 1);
    }
    try (DigitsJob job = new DigitsJob(OPTIMIZERS.get(here))) {
      job.train(1);
      job.state().save(own, "", 1);
      byte[] before = data(own);
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> job.state().restore(other, Extent.ALL, TAKES_ALL))
              .getMessage();
      assertTrue(message.endsWith(end), message);
      job.state().save(own, "", 1);
      assertArrayEquals(before, data(own));
    }
  }

  @Test
  void refusesWhatFitsNowhere() throws IOException {
    Path other = folder.resolve("other");
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      Ops tf = Ops.create(graph);
      Variable<TFloat32> alone = tf.withName("alone").variable(tf.constant(new float[2]));
      Adafactor adafactor = new Adafactor(graph);
      adafactor.minimize(tf.reduceSum(alone, tf.constant(0)));
      TrainingState.of(session, adafactor, List.of()).save(other, "", 1);
    }
    try (DigitsJob job = new DigitsJob(builder -> builder)) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> job.state().restore(other, Extent.WHAT_FITS, TAKES_ALL))
              .getMessage();
      assertTrue(
          message.startsWith("nothing in the checkpoint '" + other + "' fits: it has no 'model/"),
          message);
      Content.Judge ofAnotherJob =
          content -> {
            throw new IllegalArgumentException("another job");
          };
      String first =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> job.state().restore(other, Extent.ALL, ofAnotherJob))
              .getMessage();
      assertTrue(
          first.startsWith("the checkpoint '" + other + "' is of another model: it has no 'model/"),
          first);
    }
  }

  @Test
  void refusesWhatIsDamaged() throws IOException {
    Path prefix = folder.resolve("state");
    try (DigitsJob job = new DigitsJob(builder -> builder)) {
      job.state().save(prefix, "", 1);
      Path data = prefix.resolveSibling("state.data-00000-of-00001");
      byte[] bytes = Files.readAllBytes(data);
      bytes[bytes.length / 2] ^= 1;
      Files.write(data, bytes);
      String message =
          assertThrows(IOException.class, () -> job.state().restore(prefix, Extent.ALL, TAKES_ALL))
              .getMessage();
      assertTrue(message.contains(data.getFileName().toString()), message);
    }
  }
}
