package dev.adafactor.cli;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * The Python scripts that the program has with it, in a temporary folder where a Python of the
 * user's can run them. Closing it deletes the folder.
 */
final class PythonScripts implements AutoCloseable {
  private static final List<String> NAMES =
      List.of(
          "checked.py",
          "record_cases.py",
          "case_runner.py",
          "case_draws.py",
          "case_suites.py",
          "same_job.py",
          "versions.py");

  private final Path folder;

  /**
   * Unpacks the scripts.
   *
   * @throws IOException if there is no room for them
   */
  PythonScripts() throws IOException {
    folder = Files.createTempDirectory("adafactor-");
    for (String name : NAMES) {
      try (InputStream in = PythonScripts.class.getResourceAsStream("python/" + name)) {
        Files.copy(in, folder.resolve(name));
      }
    }
  }

  /** A file in the folder, for what a script reads and writes. */
  Path file(String name) {
    return folder.resolve(name);
  }

  /**
   * Runs a script to its end.
   *
   * @param python the interpreter, a path or a name that is on the search path
   * @throws IOException if the interpreter cannot be run, if it lacks a package, or if the script
   *     fails: the message is one line
   */
  void run(Path python, String script, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(python.toString());
    command.add(file("checked.py").toString());
    command.add(script);
    command.addAll(arguments);
    File output = file("output.txt").toFile();
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output);
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    builder.environment().put("PYTHONIOENCODING", "utf-8");
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new IOException("'%s' is no program that can be run".formatted(python), e);
    }
    int status;
    try {
      process.getOutputStream().close();
      status = process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while '%s' was running".formatted(python), e);
    } finally {
      process.destroy();
    }
    if (status != 0) {
      throw new IOException("'%s' %s".formatted(python, lastLine(output.toPath(), status)));
    }
  }

  private static String lastLine(Path output, int status) throws IOException {
    return new String(Files.readAllBytes(output), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.isBlank())
        .reduce((earlier, later) -> later)
        .orElse("ended with exit status %d, without a word".formatted(status));
  }

  @Override
  public void close() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
