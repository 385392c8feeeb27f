package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.files.OutputPath.Kind;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OutputPathTest {
  @TempDir Path folder;

  private static OutputPath output(Path path, Kind kind) {
    return new OutputPath("--option", path, kind);
  }

  private static void assertRefused(String part, OutputPath output) {
    String message =
        assertThrows(IllegalArgumentException.class, output::requireWritable).getMessage();
    assertTrue(message.startsWith("--option '" + output.path() + "': "), message);
    assertTrue(message.contains(part), message);
  }

  @ParameterizedTest
  @EnumSource
  void whatIsNotThereYetCanBeWrittenAndLeavesNoTraceOfTheCheck(Kind kind) throws IOException {
    output(folder.resolve("a/b/c"), kind).requireWritable();
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  @ParameterizedTest
  @EnumSource
  void belowAFileNothingCanBeWritten(Kind kind) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    assertRefused("is a file, not a folder", output(file.resolve("a/b"), kind));
  }

  @ParameterizedTest
  @EnumSource
  void aLinkToNothingIsNamed(Kind kind) throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), folder.resolve("absent"));
    assertRefused("link to nothing", output(link, kind));
  }

  @ParameterizedTest
  @EnumSource
  @EnabledOnOs(OS.LINUX)
  void aFileSystemThatIsNotForFilesIsNamed(Kind kind) {
    assertRefused("'/proc' is no folder that can be written to", output(Path.of("/proc/x"), kind));
  }

  @Test
  void findsTheRealPathOfWhatIsNotThere() throws IOException {
    Path real = folder.toRealPath();
    Path deep = Files.createDirectories(folder.resolve("a/deep"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), deep);
    assertEquals(real.resolve("a/deep/x/y"), output(link.resolve("x/y"), Kind.FILE).real());
    assertEquals(real.resolve("a/x"), output(link.resolve("../x"), Kind.FILE).real());
    assertEquals(real.resolve("x"), output(folder.resolve("no/../x"), Kind.FILE).real());
  }

  @Test
  void aSharedFolderMayHoldOtherThingsButReplaceNone() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    OutputPath shared = output(folder, Kind.SHARED_FOLDER);
    shared.requireApartFrom(file, "--input");
    shared.requireApartFrom(output(folder.resolve("model"), Kind.WHOLE_FOLDER));
    assertThrows(
        IllegalArgumentException.class,
        () -> output(folder, Kind.WHOLE_FOLDER).requireApartFrom(file, "--input"));
    assertThrows(
        IllegalArgumentException.class,
        () -> output(folder.resolve("log"), Kind.SHARED_FOLDER).requireApartFrom(folder, "input"));
  }

  @Test
  void twoOutputsMustNotReplaceOneAnother() {
    OutputPath model = output(folder.resolve("model"), Kind.WHOLE_FOLDER);
    for (OutputPath other :
        new OutputPath[] {
          output(folder.resolve("model/log"), Kind.SHARED_FOLDER),
          output(folder.resolve("model"), Kind.SHARED_FOLDER),
          output(folder.resolve("model/chart.png"), Kind.FILE),
          output(folder.resolve("model"), Kind.FILE)
        }) {
      assertThrows(IllegalArgumentException.class, () -> model.requireApartFrom(other));
      assertThrows(IllegalArgumentException.class, () -> other.requireApartFrom(model));
    }
    assertDoesNotThrow(
        () -> model.requireApartFrom(output(folder.resolve("model.png"), Kind.FILE)));
  }

  @Test
  void failuresNameThePathAndTheReasonButNoFileInBetween() {
    OutputPath output = output(Path.of("model"), Kind.WHOLE_FOLDER);
    assertEquals(
        "--option 'model': No space left on device",
        output
            .failure(new FileSystemException("in/saved_model.pb", null, "No space left on device"))
            .getMessage());
    assertEquals(
        "--option 'model': no permission for 'x'",
        output.failure(new AccessDeniedException("x")).getMessage());
  }
}
