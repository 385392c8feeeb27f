package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Runs the scripts of {@code src/test/python} with the interpreter that the build was given. */
final class Python {
  private Python() {}

  /** Runs a script and returns what it printed; a failure of the script is a failed assertion. */
  static String run(String script, Path... arguments) throws IOException, InterruptedException {
    String interpreter =
        Objects.requireNonNull(System.getProperty("python"), "-Dpython=... names the interpreter");
    List<String> command = new ArrayList<>();
    command.add(interpreter);
    command.add(Path.of("src", "test", "python", script).toString());
    for (Path argument : arguments) {
      command.add(argument.toString());
    }
    Path errors = Files.createTempFile("python", ".log");
    try {
      Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), () -> script + " failed: " + read(errors));
      return output;
    } finally {
      Files.delete(errors);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
