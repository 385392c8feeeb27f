package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A job whose process is killed at random moments, and which is resumed each time. */
@Tag("live")
class KillLiveTest {
  private static final int SIGKILL = 128 + 9;
  private static final boolean FULL = Boolean.getBoolean("live.full");
  private static final int KILLS = FULL ? 50 : 4;

  /** Milliseconds after the first step is announced: as much as some hundred steps take. */
  private static final int LATEST = 2500;

  @TempDir Path folder;

  private Process start(String export, String... options) throws IOException {
    ProcessBuilder builder =
        JavaProcess.builder(
            Main.class,
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--loss=sparse-categorical-crossentropy",
            "--features=" + Digits.TRAIN_IMAGES,
            "--labels=" + Digits.TRAIN_LABELS,
            "--learning-rate=0.03",
            "--use-ema",
            "--epochs=" + (FULL ? 400 : 60),
            "--export=" + folder.resolve(export));
    builder.command().addAll(List.of(options));
    return builder
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("output").toFile())
        .start();
  }

  private void end(Process process) throws Exception {
    assertTrue(process.waitFor(5, TimeUnit.MINUTES));
    assertEquals(0, process.exitValue(), () -> output());
  }

  private String output() {
    try {
      return Files.readString(folder.resolve("output"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private byte[] variables(String export) throws IOException {
    return Files.readAllBytes(
        folder.resolve(export).resolve("variables/variables.data-00000-of-00001"));
  }

  @Test
  void endsAsIfNeverKilled() throws Exception {
    long seed = Long.getLong("live.seed", 1);
    Random random = new Random(seed);
    end(start("whole"));
    Path checkpoints = folder.resolve("checkpoints");
    String[] options = {
      "--checkpoint=" + checkpoints, "--checkpoint-every=3", "--keep=2", "--resume", "--overwrite"
    };
    int cutOff = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Process process = start("resumed", options);
      while (process.isAlive() && !output().contains("Training 8 variables")) {
        Thread.sleep(5);
      }
      Thread.sleep(random.nextInt(LATEST));
      process.destroyForcibly();
      assertTrue(process.waitFor(1, TimeUnit.MINUTES));
      assertEquals(SIGKILL, process.exitValue(), () -> output());
      if (random.nextInt(4) == 0 && cutOffNewest(checkpoints)) {
        cutOff++;
      }
    }
    end(start("resumed", options));
    assertTrue(output().contains("Going on from"), this::output);
    assertArrayEquals(variables("whole"), variables("resumed"), "seed " + seed);
    System.out.printf(
        "%d kills, %d cut-off checkpoints, seed %d: bit-equal%n", KILLS, cutOff, seed);
  }

  /** As a power cut may leave it, where there is another one to go on from. */
  private static boolean cutOffNewest(Path checkpoints) throws IOException {
    if (Files.notExists(checkpoints)) {
      return false;
    }
    List<Path> data;
    try (Stream<Path> files = Files.list(checkpoints)) {
      data =
          files
              .filter(file -> file.toString().contains(".data-"))
              .sorted(Comparator.comparingInt(KillLiveTest::step))
              .toList();
    }
    if (data.size() < 2) {
      return false;
    }
    try (FileChannel newest =
        FileChannel.open(data.get(data.size() - 1), StandardOpenOption.WRITE)) {
      newest.truncate(newest.size() / 2);
    }
    return true;
  }

  private static int step(Path data) {
    return Integer.parseInt(data.getFileName().toString().replaceAll("ckpt-(\\d+)\\..*", "$1"));
  }
}
