package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * All that a command is asked to write.
 *
 * @param paths each with the option that names it
 */
record Outputs(List<OutputPath> paths) {

  /** A file or folder that a command reads, and what it is. */
  record Input(String description, Path path) {}

  /**
   * Checks, before the work, that all of it can be written without a loss: neither of an input nor
   * of one another.
   *
   * @throws IllegalArgumentException if it cannot
   */
  void require(List<Input> inputs) throws IOException {
    for (int i = 0; i < paths.size(); i++) {
      OutputPath output = paths.get(i);
      for (Input input : inputs) {
        // One that is missing is named by whoever wants to read it.
        if (Files.exists(input.path())) {
          output.requireApartFrom(input.path(), input.description());
        }
      }
      output.requireWritable();
      for (OutputPath other : paths.subList(0, i)) {
        output.requireApartFrom(other);
      }
    }
  }
}
