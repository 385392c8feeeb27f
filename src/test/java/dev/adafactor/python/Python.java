package dev.adafactor.python;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs the scripts of {@code src/test/python} and {@code src/main/python} for the live tests. The
 * system property {@code python} names the interpreter; it needs the packages of {@code
 * src/test/python/requirements.txt}.
 */
public final class Python {
  private static final Path TESTS = Path.of("src", "test", "python");

  /** The scripts that the program has with it. */
  private static final Path PROGRAM = Path.of("src", "main", "python");

  private Python() {}

  /**
   * Runs a script to its end and returns what it printed, standard error included.
   *
   * @throws AssertionError with that text when the script's exit status is not 0
   */
  public static String run(String script, Object... arguments)
      throws IOException, InterruptedException {
    Process process = command(script, arguments).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    if (status != 0) {
      throw new AssertionError(script + " ended with " + status + ":\n" + output);
    }
    return output;
  }

  /** What starts a script with these arguments. */
  public static ProcessBuilder command(String script, Object... arguments) {
    Path own = PROGRAM.resolve(script);
    Path path = Files.exists(own) ? own : TESTS.resolve(script);
    List<String> command = new ArrayList<>(List.of(interpreter(), path.toString()));
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    return new ProcessBuilder(command);
  }

  /** The interpreter. */
  public static String interpreter() {
    String interpreter = System.getProperty("python");
    if (interpreter == null) {
      throw new IllegalStateException("live tests need -Dpython=/path/to/python");
    }
    return interpreter;
  }
}
