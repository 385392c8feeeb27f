package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/** Writes a file that appears whole or not at all. */
final class WholeFile {

  /** Writes the content. */
  interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  private WholeFile() {}

  /**
   * Writes a sibling and renames it to the file, which it replaces; makes directories for it. Where
   * the file is a link, that to which it leads is written.
   *
   * @throws IllegalArgumentException if something else than a file is there
   * @throws IOException if writing fails
   */
  static void write(OutputPath file, Content content) throws IOException {
    file.requireWritable();
    Path real = file.real();
    // Not createTempFile: it would keep the file from everybody but the owner.
    Path temporary = real.resolveSibling(".%s.part".formatted(UUID.randomUUID()));
    try {
      Files.createDirectories(real.getParent());
      try (OutputStream out =
          Files.newOutputStream(
              temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        content.writeTo(out);
      }
      Files.move(
          temporary, real, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw file.failure(e);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }
}
