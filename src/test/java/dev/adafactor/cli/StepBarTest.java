package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import org.junit.jupiter.api.Test;

class StepBarTest {
  private static final int COLUMNS = 40;

  @Test
  void theBarFillsTheRoomThatIsLeft() {
    assertEquals(" 50% \u2588\u2588\u2591\u2591 words", StepBar.line(0.5, "words", 15));
    assertEquals("100%  words", StepBar.line(1, "words", 11));
    assertEquals("  0%  wor", StepBar.line(0, "words", 9));
  }

  @Test
  void itsLastLineIsTheLastStepAndEndsOnce() {
    ByteArrayOutputStream screen = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(screen, true, StandardCharsets.UTF_8);
    try (StepBar bar = new StepBar("test", 4, new ConsoleProgressBarConsumer(stream, COLUMNS))) {
      bar.stepTo(0, "0 of 4");
      bar.stepTo(3, "3 of " + bar.steps());
    }
    String shown = screen.toString(StandardCharsets.UTF_8);
    assertEquals(1, shown.chars().filter(c -> c == '\n').count(), shown);
    String last = shown.substring(shown.lastIndexOf('\r') + 1).stripTrailing();
    assertEquals(StepBar.line(0.75, "3 of 4", COLUMNS).stripTrailing(), last);
  }
}
