package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class InputFileTest {
  @Test
  void theInputStandsBeforeTheFirstEqualsSign() {
    assertEquals(new InputFile(Optional.empty(), Path.of("x.npy")), InputFile.parse("x.npy"));
    assertEquals(
        new InputFile(Optional.of("image"), Path.of("a=b.npy")), InputFile.parse("image=a=b.npy"));
    assertEquals("image=a=b.npy", InputFile.parse("image=a=b.npy").toString());
    assertEquals("x.npy", InputFile.parse("x.npy").toString());
  }
}
