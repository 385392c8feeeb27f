package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Step;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.LongToDoubleFunction;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class LossChartTest {
  private static final int LOSS = 0x1F77B4;
  private static final int ACCURACY = 0x2CA02C;
  private static final int VALIDATION = 0xD95F02;
  private static final int RATE = 0x606060;
  private static final int STEPS_PER_EPOCH = 10;

  @TempDir Path folder;

  private static List<Step> steps(
      long first, long count, LongToDoubleFunction loss, LongToDoubleFunction rate) {
    return LongStream.range(first, first + count)
        .mapToObj(
            i ->
                new Step(
                    i,
                    (int) ((i - 1) / STEPS_PER_EPOCH) + 1,
                    32,
                    loss.applyAsDouble(i),
                    OptionalDouble.empty(),
                    rate.applyAsDouble(i)))
        .toList();
  }

  private static Step withAccuracy(Step step) {
    return new Step(
        step.number(),
        step.epoch(),
        step.examples(),
        step.loss(),
        OptionalDouble.of(0.5),
        step.learningRate());
  }

  private BufferedImage draw(List<Step> steps, List<Epoch> epochs) throws IOException {
    Path file = folder.resolve("chart.png");
    LossChart.write(steps, epochs, new OutputPath("--chart", file, OutputPath.Kind.FILE));
    return ImageIO.read(file.toFile());
  }

  private static long pixels(BufferedImage picture, int color) {
    long count = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        count += (picture.getRGB(x, y) & 0xFFFFFF) == color ? 1 : 0;
      }
    }
    return count;
  }

  static Stream<Arguments> losses() {
    LongToDoubleFunction falling = i -> 2 / (1.0 + i);
    return Stream.of(
        Arguments.of("one step", steps(1, 1, falling, i -> 0.1)),
        Arguments.of("20 steps", steps(1, 20, falling, i -> 0.1)),
        Arguments.of("10,000 steps", steps(1, 10_000, falling, i -> 0.1)),
        Arguments.of("resumed after 500", steps(501, 100, falling, i -> 0.1)),
        Arguments.of("always the same", steps(1, 100, i -> 0.5, i -> 0.1)),
        Arguments.of("always 0", steps(1, 100, i -> 0, i -> 0.1)),
        Arguments.of("some NaN", steps(1, 100, i -> i % 7 == 3 ? Double.NaN : 1, i -> 0.1)),
        Arguments.of("below 0", steps(1, 100, i -> -1.0 / i, i -> 0.1)),
        Arguments.of("a large one", steps(1, 100, i -> i == 3 ? 1e6 : 1.0 / i, i -> 0.1)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("losses")
  void showsTheLoss(String what, List<Step> steps) throws IOException {
    BufferedImage picture = draw(steps, List.of());
    assertEquals(1000, picture.getWidth());
    assertTrue(pixels(picture, LOSS) > 20, what + ": " + pixels(picture, LOSS));
    assertEquals(0, pixels(picture, ACCURACY));
    assertEquals(0, pixels(picture, VALIDATION));
  }

  @Test
  void showsAccuracyAndValidation() throws IOException {
    Evaluation training = new Evaluation(1, OptionalDouble.of(0.5), 320);
    Evaluation validation = new Evaluation(1.5, OptionalDouble.of(0.4), 9);
    List<Step> steps =
        steps(11, 20, i -> 1, i -> 0.1).stream().map(LossChartTest::withAccuracy).toList();
    BufferedImage without = draw(steps, List.of(new Epoch(2, training, Optional.empty())));
    assertTrue(pixels(without, ACCURACY) > 20);
    assertEquals(0, pixels(without, VALIDATION));
    BufferedImage with =
        draw(
            steps,
            List.of(
                new Epoch(1, training, Optional.of(validation)), // Before the job was resumed.
                new Epoch(2, training, Optional.of(validation))));
    assertTrue(pixels(with, VALIDATION) > 20);
  }

  @Test
  void showsALearningRateThatChanges() throws IOException {
    BufferedImage constant = draw(steps(1, 100, i -> 1.0 / i, i -> 0.1), List.of());
    BufferedImage changing = draw(steps(1, 100, i -> 1.0 / i, i -> 0.1 / i), List.of());
    assertTrue(changing.getHeight() > constant.getHeight());
    assertTrue(pixels(changing, RATE) > pixels(constant, RATE) + 20);
  }
}
