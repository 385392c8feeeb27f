package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeFileTest {
  @TempDir Path folder;

  @Test
  void makesDirectoriesAndReplacesFiles() throws IOException {
    Path file = folder.resolve("a/b/c.txt");
    WholeFile.write(file, out -> out.write('x'));
    WholeFile.write(file, out -> out.write('y'));
    assertEquals("y", Files.readString(file));
  }

  @Test
  void leavesTheOldFileWhereWritingFails() throws IOException {
    Path file = Files.writeString(folder.resolve("c.txt"), "old");
    assertThrows(
        IOException.class,
        () ->
            WholeFile.write(
                file,
                out -> {
                  out.write('n');
                  throw new IOException("full");
                }));
    assertEquals("old", Files.readString(file));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(file), files.toList());
    }
  }
}
