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
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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

  @Test
  void refusesTheStateOfAnotherOptimizer() throws IOException {
    Path plain = folder.resolve("plain");
    Path averaged = folder.resolve("averaged");
    try (DigitsJob job = new DigitsJob(builder -> builder)) {
      job.state().save(plain, "", 1);
    }
    try (DigitsJob job = new DigitsJob(builder -> builder.useEma(true))) {
      job.train(1);
      job.state().save(averaged, "", 1);
      byte[] before = data(averaged);
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> job.state().restore(plain, Extent.ALL, TAKES_ALL))
              .getMessage();
      assertTrue(message.contains("optimizer/_variables"), message);
      job.state().save(averaged, "", 1);
      assertArrayEquals(before, data(averaged));
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
