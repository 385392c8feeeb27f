package dev.adafactor.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.python.Python;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;

/** tf_keras training a workload in a process of its own, some steps at a time. */
final class TfKerasTraining implements AutoCloseable {
  private final Process process;
  private final Writer commands;
  private final BufferedReader answers;

  /** Starts {@code timed_training.py} with these arguments. */
  TfKerasTraining(Object... arguments) throws IOException {
    process =
        Python.command("timed_training.py", arguments)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    commands = process.outputWriter(StandardCharsets.UTF_8);
    answers = process.inputReader(StandardCharsets.UTF_8);
  }

  ProcessHandle process() {
    return process.toHandle();
  }

  /** Takes some steps and returns their seconds. */
  double run(int steps) throws IOException {
    commands.write(steps + "\n");
    commands.flush();
    return Double.parseDouble(answer());
  }

  /** Ends the training and returns what the script tells about it. */
  JsonNode finish() throws IOException {
    commands.close();
    return new JsonMapper().readTree(answer());
  }

  private String answer() throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("timed_training.py has ended before its time");
    }
    return line;
  }

  @Override
  public void close() {
    process.destroy();
  }
}
