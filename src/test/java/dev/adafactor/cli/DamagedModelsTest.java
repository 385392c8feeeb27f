package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No damaged model ends the process, hangs, or leaves anything behind. */
class DamagedModelsTest {
  private static final long SEED = Long.getLong("live.seed", 1);

  @TempDir Path folder;

  @Test
  void fineTuneAnswersWithALineOrWithAModel() throws Exception {
    assertSurvived(DamagedModels.FINE_TUNE, 1, 40, 120);
  }

  @Test
  void inspectAnswersWithALineOrWithAReport() throws Exception {
    assertSurvived(List.of("inspect", "MODEL"), 1000, 60, 120);
  }

  @Test
  @Tag("live")
  void soDoManyMore() throws Exception {
    int count = Boolean.getBoolean("live.full") ? 600 : 100;
    assertSurvived(DamagedModels.FINE_TUNE, SEED * 10_000, count, 3600);
  }

  private void assertSurvived(List<String> arguments, long first, int count, int seconds)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        JavaProcess.builder(DamagedModels.class, Digits.MODEL, folder, first, count);
    builder.command().addAll(arguments);
    Path log = folder.resolve("log");
    Path errors = folder.resolve("errors");
    Process process = builder.redirectOutput(log.toFile()).redirectError(errors.toFile()).start();
    boolean ended = process.waitFor(seconds, TimeUnit.SECONDS);
    process.destroyForcibly();
    List<String> lines = Files.readString(log, StandardCharsets.UTF_8).lines().toList();
    String last = lines.isEmpty() ? "nothing" : lines.get(lines.size() - 1);
    assertTrue(ended, () -> "hangs after: " + last);
    assertEquals(0, process.exitValue(), () -> "ends after: " + last);
    List<String> answers = lines.stream().filter(line -> line.startsWith("DONE")).toList();
    assertEquals(count, answers.size());
    for (int i = 0; i < lines.size(); i++) {
      String damage = lines.get(Math.max(0, i - 1));
      String answer = lines.get(i);
      if (answer.startsWith("DONE")) {
        assertTrue(answer.matches("DONE [02] in \\d+ ms:.*"), () -> damage + "\n" + answer);
      }
    }
  }
}
