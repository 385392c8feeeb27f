package dev.adafactor.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** The most physical memory that a process ever held, as Linux tells it. */
final class PeakMemory {
  private PeakMemory() {}

  /** In bytes; 0 of a process that has ended. */
  static long of(ProcessHandle process) throws IOException {
    try {
      return Files.readAllLines(Path.of("/proc", Long.toString(process.pid()), "status")).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElse(0);
    } catch (NoSuchFileException e) {
      return 0;
    }
  }
}
