package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.files.OutputPath;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeFileTest {
  @TempDir Path folder;

  private static OutputPath output(Path file) {
    return new OutputPath("--json", file, OutputPath.Kind.FILE);
  }

  @Test
  void makesDirectoriesAndReplacesFiles() throws IOException {
    Path file = folder.resolve("a/b/c.txt");
    WholeFile.write(output(file), out -> out.write('x'));
    WholeFile.write(output(file), out -> out.write('y'));
    assertEquals("y", Files.readString(file));
  }

  @Test
  void leavesTheOldFileWhereWritingFails() throws IOException {
    Path file = Files.writeString(folder.resolve("c.txt"), "old");
    assertThrows(
        IOException.class,
        () ->
            WholeFile.write(
                output(file),
                out -> {
                  out.write('n');
                  throw new IOException("full");
                }));
    assertEquals("old", Files.readString(file));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void followsLinks() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    WholeFile.write(output(link), out -> out.write('y'));
    assertTrue(Files.isSymbolicLink(link));
    assertEquals("y", Files.readString(file));
  }

  @Test
  void keepsFolders() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThrows(
        IllegalArgumentException.class, () -> WholeFile.write(output(empty), out -> out.write(1)));
    assertTrue(Files.isDirectory(empty));
  }

  @Test
  void aFailureNamesTheFileAndTheReason() {
    Path file = folder.resolve("c.txt");
    IOException e =
        assertThrows(
            IOException.class,
            () ->
                WholeFile.write(
                    output(file),
                    out -> {
                      throw new IOException("No space left on device");
                    }));
    assertEquals("--json '%s': No space left on device".formatted(file), e.getMessage());
  }
}
