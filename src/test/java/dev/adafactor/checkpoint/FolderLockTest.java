package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderLockTest {
  @TempDir Path temporary;

  @Test
  void oneHasItAtATime() throws Exception {
    Path folder = temporary.resolve("new/checkpoints");
    try (FolderLock first = new FolderLock()) {
      first.acquire(folder);
      assertRefused(folder);
      Process other = holder(folder);
      try (BufferedReader out = other.inputReader()) {
        assertEquals("is refused", out.readLine());
      } finally {
        other.destroyForcibly();
      }
    }
    try (FolderLock next = new FolderLock()) {
      next.acquire(folder);
    }
  }

  private static void assertRefused(Path folder) throws IOException {
    try (FolderLock second = new FolderLock()) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> second.acquire(folder)).getMessage();
      assertTrue(message.startsWith("the folder '" + folder + "'"), message);
    }
  }

  @Test
  void aKilledProcessGivesItBack() throws Exception {
    Path folder = temporary.resolve("checkpoints");
    Process process = holder(folder);
    try (BufferedReader out = process.inputReader()) {
      assertEquals("has it", out.readLine());
      assertRefused(folder);
    } finally {
      process.destroyForcibly();
    }
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    try (FolderLock next = new FolderLock()) {
      next.acquire(folder);
    }
  }

  private static Process holder(Path folder) throws IOException {
    return JavaProcess.builder(Holder.class, folder)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** Has a folder until it is killed. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] arguments) throws Exception {
      try (FolderLock lock = new FolderLock()) {
        lock.acquire(Path.of(arguments[0]));
        System.out.println("has it");
        TimeUnit.MINUTES.sleep(5);
      } catch (IllegalArgumentException e) {
        System.out.println("is refused");
      }
    }
  }

  @Test
  void saysWhereItCannotBe() throws IOException {
    Path file = Files.writeString(temporary.resolve("file"), "");
    try (FolderLock lock = new FolderLock()) {
      String message = assertThrows(IOException.class, () -> lock.acquire(file)).getMessage();
      assertTrue(message.contains("cannot write checkpoints to '" + file + "'"), message);
    }
  }
}
