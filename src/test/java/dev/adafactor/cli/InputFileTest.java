package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InputFileTest {
  @Test
  void theInputStandsBeforeTheFirstEqualsSign() {
    assertEquals(new InputFile(Optional.empty(), Path.of("x.npy")), InputFile.parse("x.npy"));
    assertEquals(
        new InputFile(Optional.of("image"), Path.of("a=b.npy")), InputFile.parse("image=a=b.npy"));
    assertEquals("image=a=b.npy", InputFile.parse("image=a=b.npy").toString());
    assertEquals("x.npy", InputFile.parse("x.npy").toString());
  }

  @Test
  void anEqualsSignMayBeInThePath(@TempDir Path folder) throws IOException {
    Path path = folder.resolve("a=b.npy");
    assertEquals(new InputFile(Optional.empty(), path), InputFile.parse(path.toString()));
    Path file = Files.createFile(Path.of("lr=1.npy"));
    try {
      assertEquals(new InputFile(Optional.empty(), file), InputFile.parse(file.toString()));
      assertEquals(new InputFile(Optional.of("image"), file), InputFile.parse("image=" + file));
    } finally {
      Files.delete(file);
    }
  }
}
