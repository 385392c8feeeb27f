package dev.adafactor.cli;

import dev.adafactor.finetune.StopRequest;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The Python scripts that the program has with it, in a temporary folder where a Python of the
 * user's can run them. Closing it deletes the folder, and so does the end of the process, which
 * ends a script that still runs, too.
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

  /** How often to look whether a script is to end. */
  private static final long LOOK_MILLIS = 200;

  /** What a process that is killed may take. */
  private static final long KILL_SECONDS = 5;

  private final Path python;
  private final Path folder;
  private final AtExit.Registration atExit;
  private Optional<Process> running = Optional.empty();
  private boolean abandoned;

  /**
   * Unpacks the scripts.
   *
   * @param python the interpreter, a path or a name that is on the search path
   * @throws IOException if there is no room for them
   */
  PythonScripts(Path python) throws IOException {
    this.python = python;
    folder = Files.createTempDirectory("adafactor-");
    atExit = AtExit.register(this::abandon);
    try {
      for (String name : NAMES) {
        try (InputStream in = PythonScripts.class.getResourceAsStream("python/" + name)) {
          Files.copy(in, folder.resolve(name));
        }
      }
    } catch (IOException e) {
      try {
        close();
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw e;
    }
  }

  /** A file in the folder, for what a script reads and writes. */
  Path file(String name) {
    return folder.resolve(name);
  }

  /**
   * Runs a script to its end.
   *
   * @param result what the script writes
   * @throws IOException if the interpreter cannot be run, if it lacks a package, if the script
   *     fails, or if it leaves no result: the message is one line
   */
  void run(String script, List<String> arguments, Path result) throws IOException {
    run(script, arguments, result, new StopRequest(), () -> {});
  }

  /**
   * Runs a script to its end, or until it is to stop.
   *
   * @param result what the script writes
   * @param meanwhile is called now and then while the script runs
   * @throws CancellationException if it is to stop; the script has ended then
   * @throws IOException if the interpreter cannot be run, if it lacks a package, if the script
   *     fails, or if it leaves no result: the message is one line
   */
  void run(String script, List<String> arguments, Path result, StopRequest stop, Runnable meanwhile)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(python.toString());
    command.add(file("checked.py").toString());
    command.add(script);
    command.addAll(arguments);
    Path output = file("output.txt");
    Process process = start(command, output.toFile());
    int status;
    try {
      process.getOutputStream().close();
      while (!process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS) && !stop.isStopped()) {
        // A signal does not wake who waits.
        meanwhile.run();
      }
      // Ctrl-C in a terminal goes to the script as well, which may be the first to end.
      if (stop.isStopped()) {
        throw new CancellationException("'%s' was ended".formatted(python));
      }
      status = process.exitValue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while '%s' was running".formatted(python), e);
    } finally {
      ended(process);
    }
    if (status != 0) {
      throw new IOException("'%s' %s".formatted(python, lastLine(output, status)));
    }
    if (!Files.exists(result)) {
      throw new IOException("'%s' left no result; is it a Python?".formatted(python));
    }
  }

  private synchronized Process start(List<String> command, File output) throws IOException {
    requireNotAbandoned();
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
    running = Optional.of(process);
    return process;
  }

  private synchronized void ended(Process process) throws IOException {
    kill(process);
    running = Optional.empty();
    requireNotAbandoned();
  }

  private void requireNotAbandoned() throws IOException {
    if (abandoned) {
      throw new IOException("'%s' was ended, as the program ends".formatted(python));
    }
  }

  /** Those that it started, too: the interpreter may be a script that starts another one. */
  private static void kill(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    try {
      process.waitFor(KILL_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static String lastLine(Path output, int status) throws IOException {
    return new String(Files.readAllBytes(output), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.isBlank())
        .reduce((earlier, later) -> later)
        .orElse("ended with exit status %d, without a word".formatted(status));
  }

  /** Ends a script and deletes the folder while another thread may use both. */
  private synchronized void abandon() {
    abandoned = true;
    running.ifPresent(PythonScripts::kill);
    try {
      delete();
    } catch (IOException | UncheckedIOException e) {
      // The process ends, and nobody is left to be told.
    }
  }

  private synchronized void delete() throws IOException {
    if (Files.notExists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }

  @Override
  public void close() throws IOException {
    delete();
    atExit.close();
  }
}
