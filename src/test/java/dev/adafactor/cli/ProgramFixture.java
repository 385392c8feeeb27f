package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;

/** For tests that run the program in their own process, and look at what it prints. */
abstract class ProgramFixture {
  @TempDir Path folder;
  final StringWriter out = new StringWriter();
  final StringWriter err = new StringWriter();

  /** Runs a command line; returns the exit code. */
  final int run(String... arguments) {
    return Main.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  final int run(List<String> arguments) {
    return run(arguments.toArray(String[]::new));
  }

  /** Asserts that all that was said of what is wrong is one line with these parts. */
  final void assertOneLine(String... parts) {
    String message = err.toString();
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), message);
    }
  }
}
