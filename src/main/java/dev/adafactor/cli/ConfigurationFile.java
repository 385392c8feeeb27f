package dev.adafactor.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file that an option names, with a configuration of tf_keras's Adafactor.
 *
 * @param option for messages
 */
record ConfigurationFile(String option, Path path) {
  private static final long LARGEST = 1 << 20;

  /**
   * Reads the text.
   *
   * @throws IOException if it cannot be read as text, or is too large for a configuration
   */
  String json() throws IOException {
    if (!Files.isRegularFile(path)) {
      throw new IOException("%s %s: no such file; a JSON file is wanted".formatted(option, path));
    }
    if (Files.size(path) > LARGEST) {
      throw new IOException(
          "%s %s: not a configuration: it has %,d bytes".formatted(option, path, Files.size(path)));
    }
    try {
      // Windows editors begin text with a mark, which is no JSON.
      return Files.readString(path).replaceFirst("^\\uFEFF", "");
    } catch (CharacterCodingException e) {
      throw new IOException("%s %s: not JSON: it is no text".formatted(option, path), e);
    }
  }

  /** The exception with the name of the file. */
  IllegalArgumentException failure(IllegalArgumentException e) {
    return new IllegalArgumentException("%s %s: %s".formatted(option, path, e.getMessage()), e);
  }
}
