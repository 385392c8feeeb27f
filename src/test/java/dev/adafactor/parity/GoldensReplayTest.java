package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Numerics;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The recorded cases that come with the project. */
class GoldensReplayTest {

  @ParameterizedTest
  @CsvSource({
    "TF_KERAS, REFERENCE",
    "TF_KERAS, RESOURCE",
    "STABLE,   REFERENCE",
    "STABLE,   RESOURCE",
  })
  void areAsTfKerasRecordedThem(Numerics numerics, VariableKind kind)
      throws IOException, URISyntaxException {
    Comparison comparison = new Comparison(Requirement.of(numerics, System.getProperty("os.arch")));
    Replay replay = new Replay(numerics, kind);
    for (Case golden : goldens()) {
      comparison.add(replay.replay(golden));
    }
    assertEquals(List.of(), comparison.errors());
    assertEquals(List.of(), comparison.failures());
    assertEquals(List.of(), comparison.unrecorded());
    assertTrue(comparison.cases() > 50, comparison.cases() + " cases");
  }

  private static List<Case> goldens() throws IOException, URISyntaxException {
    Path folder = Path.of(GoldensReplayTest.class.getResource("/goldens/cases").toURI());
    List<Case> cases = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.sorted().toList()) {
        cases.addAll(CaseFile.read(file));
      }
    }
    return cases;
  }
}
