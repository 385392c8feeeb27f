package dev.adafactor.python;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The committed goldens are what tf_keras does here and now. */
@Tag("live")
@Tag("newest")
class GoldensLiveTest {
  private static final Path GOLDENS = Path.of("src", "test", "resources", "goldens");

  @Test
  void recordingThemAgainGivesTheSameFiles(@TempDir Path folder) throws Exception {
    Python.run("record_goldens.py", "--out", folder);
    List<Path> names = jsonFiles(GOLDENS);
    assertFalse(names.isEmpty(), "no goldens");
    for (Path name : names) {
      assertArrayEquals(cases(GOLDENS.resolve(name)), cases(folder.resolve(name)), name::toString);
    }
  }

  private static List<Path> jsonFiles(Path folder) throws Exception {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).map(folder::relativize).sorted().toList();
    }
  }

  /** The lines of a file but for its first: that one names the versions of the libraries. */
  private static String[] cases(Path file) throws Exception {
    return Files.readAllLines(file).stream().skip(1).toArray(String[]::new);
  }
}
