package dev.adafactor.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;

/** An optimizer in a process of its own, which {@code peers.py} tells how to talk to. */
final class ChildContender implements Contender {
  private static final JsonMapper JSON = new JsonMapper();
  private static final long END_SECONDS = 5;

  /** An exit code beyond it tells the signal that ended the process. */
  private static final int BY_SIGNAL = 128;

  private final Process process;
  private final Path log;
  private final Writer commands;
  private final BufferedReader answers;
  private final Facts facts;

  /**
   * Starts a program, and has it take the first step.
   *
   * @param log for what it prints besides its answers
   * @throws IOException if it cannot do it; the message says why in one line
   */
  ChildContender(List<String> command, Path log, Workload workload) throws IOException {
    this.log = log;
    this.process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.to(log.toFile())).start();
    this.commands = process.outputWriter(StandardCharsets.UTF_8);
    this.answers = process.inputReader(StandardCharsets.UTF_8);
    try {
      JsonNode built = ask(description(workload) + "build\n");
      this.facts =
          new Facts(
              built.get("version").asText(),
              built.get("state_bytes").asLong(),
              built.hasNonNull("peak_transient_bytes")
                  ? OptionalLong.of(built.get("peak_transient_bytes").asLong())
                  : OptionalLong.empty(),
              OptionalInt.empty(),
              Optional.empty(),
              built.get("build_ms").asDouble(),
              built.get("first_step_ms").asDouble());
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  private static String description(Workload workload) {
    StringBuilder text = new StringBuilder();
    text.append("threads ").append(workload.threads()).append('\n');
    text.append("dtype ").append(workload.type().label()).append('\n');
    for (Parameter each : workload.shapes().parameters()) {
      text.append("variable ").append(each.gradientRows().orElse(0));
      LongStream.of(each.shape().asArray())
          .forEach(dimension -> text.append(' ').append(dimension));
      text.append('\n');
    }
    return text.toString();
  }

  private JsonNode ask(String command) throws IOException {
    try {
      commands.write(command);
      commands.flush();
    } catch (IOException e) {
      throw new IOException(lastWords(), e);
    }
    String answer = answers.readLine();
    if (answer == null) {
      throw new IOException(lastWords());
    }
    try {
      JsonNode json = JSON.readTree(answer);
      if (json.isContainerNode()) {
        return json;
      }
    } catch (JsonProcessingException e) {
      throw new IOException("an answer that is no JSON: " + answer, e);
    }
    throw new IOException("no answer, but " + answer);
  }

  /** Why the program has ended. */
  private String lastWords() throws IOException {
    try {
      if (process.waitFor(END_SECONDS, TimeUnit.SECONDS) && process.exitValue() > BY_SIGNAL) {
        return "ended by signal %d (9: memory ran out)".formatted(process.exitValue() - BY_SIGNAL);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return new String(Files.readAllBytes(log), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.isBlank())
        .reduce((earlier, later) -> later)
        .orElse("it has ended without a word");
  }

  @Override
  public Facts facts() {
    return facts;
  }

  @Override
  public double[] run(int steps) throws IOException {
    return JSON.convertValue(ask("steps " + steps + "\n"), double[].class);
  }

  @Override
  public float[] values() throws IOException {
    return JSON.convertValue(ask("values\n"), float[].class);
  }

  @Override
  public void close() {
    try {
      commands.close();
      if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (IOException e) {
      process.destroyForcibly(); // It has ended, and takes nothing more.
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
