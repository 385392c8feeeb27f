package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program in a process of its own, as a user starts it. */
class QuietTest {
  @TempDir Path folder;

  @Test
  void nothingButTheProgramSpeaks() throws IOException, InterruptedException {
    Path errors = folder.resolve("errors");
    ProcessBuilder builder =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName(),
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--features=" + Digits.TEST_IMAGES,
            "--labels=" + Digits.TEST_LABELS,
            "--loss=sparse-categorical-crossentropy",
            "--chart=" + folder.resolve("chart.png"));
    builder.environment().remove("TF_CPP_MIN_LOG_LEVEL");
    Process process = builder.redirectError(errors.toFile()).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor());
    assertEquals("", Files.readString(errors));
    assertTrue(out.startsWith("Mode: "), out);
  }
}
