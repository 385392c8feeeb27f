package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.StateSize;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Plan;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.savedmodel.Mode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import org.junit.jupiter.api.Test;

class ProgressBarDisplayTest {
  private static final int COLUMNS = 80;

  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();

  /** What is on the screen after the last carriage return of each line. */
  private String[] linesAfterTraining() {
    PrintStream stream = new PrintStream(screen, true, StandardCharsets.UTF_8);
    PrintWriter out = new PrintWriter(stream, true, StandardCharsets.UTF_8);
    Evaluation evaluation = new Evaluation(0.25, OptionalDouble.of(0.9), 10);
    try (ProgressBarDisplay display =
        new ProgressBarDisplay(out, new ConsoleProgressBarConsumer(stream, COLUMNS))) {
      display.planned(
          new Plan(Mode.INFERENCE, "test", 64, 1, 2, 8, 0, 0, new StateSize(1, 1, 1, 1)));
      for (int step = 1; step <= 2; step++) {
        display.stepped(new Step(step, 1, 32, 0.125, OptionalDouble.of(0.75), 0.03));
      }
      display.epochEnded(new Epoch(1, evaluation, Optional.of(evaluation)));
      display.evaluatedAfter(evaluation);
    }
    return Arrays.stream(screen.toString(StandardCharsets.UTF_8).split("\n"))
        .map(line -> line.substring(line.lastIndexOf('\r') + 1))
        .toArray(String[]::new);
  }

  @Test
  void showsAllNumbersOnceWithinTheColumnsOfATerminal() {
    String[] lines = linesAfterTraining();
    assertEquals(4, lines.length, String.join("\n", lines));
    String bar = lines[2];
    assertTrue(bar.startsWith("100% "), bar);
    assertTrue(bar.contains("loss 0.1250 accuracy 75.0% rate 0.0300 "), bar);
    assertTrue(bar.contains(" examples/s 0:00 left"), bar);
    assertTrue(bar.stripTrailing().length() <= COLUMNS, bar);
    assertEquals("After: loss 0.2500, accuracy 90.00% on 10 validation examples", lines[3]);
  }

  @Test
  void aRateOfNothingIsNotRounded() {
    assertEquals("0", TrainingDisplay.rate(0));
    assertEquals("1.23e-09", TrainingDisplay.rate(1.234e-9));
  }
}
