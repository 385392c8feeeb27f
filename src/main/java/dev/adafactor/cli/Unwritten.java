package dev.adafactor.cli;

import dev.adafactor.files.Writing;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** What could not be written of a job's results: what fails keeps no other from being written. */
final class Unwritten {

  private final List<Exception> exceptions = new ArrayList<>();

  void add(IOException e) {
    exceptions.add(e);
  }

  /** Writes, and keeps what goes wrong for later. */
  void of(Writing writing) {
    try {
      writing.run();
    } catch (IOException | IllegalArgumentException e) {
      exceptions.add(e);
    }
  }

  /**
   * Tells of all that failed.
   *
   * @throws IOException if something did
   */
  void tell() throws IOException {
    if (!exceptions.isEmpty()) {
      throw new IOException(
          exceptions.stream().map(Throwable::getMessage).collect(Collectors.joining("; ")),
          exceptions.get(0));
    }
  }
}
