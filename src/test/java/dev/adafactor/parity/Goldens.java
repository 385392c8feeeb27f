package dev.adafactor.parity;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The recorded cases that come with the project. */
final class Goldens {
  private Goldens() {}

  static List<Case> cases() throws IOException, URISyntaxException {
    Path folder = Path.of(Goldens.class.getResource("/goldens/cases").toURI());
    List<Case> cases = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.sorted().toList()) {
        cases.addAll(CaseFile.read(file).cases());
      }
    }
    return cases;
  }
}
