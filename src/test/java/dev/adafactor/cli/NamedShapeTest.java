package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.TypeConversionException;

class NamedShapeTest {
  @Test
  void readsNamesAndDimensions() {
    assertEquals(new NamedShape(Optional.empty(), List.of(64, 10)), NamedShape.parse("64x10"));
    assertEquals(
        new NamedShape(Optional.of("dense/kernel"), List.of(3, 3, 1, 16)),
        NamedShape.parse(" dense/kernel = 3x3x1x16 "));
    assertEquals(new NamedShape(Optional.of("a=b"), List.of(0)), NamedShape.parse("a=b=0"));
    assertEquals(new NamedShape(Optional.of("scale"), List.of()), NamedShape.parse("scale=scalar"));
  }

  @ParameterizedTest
  @CsvSource({
    "'', ''''' is no shape'",
    "64y10, '''64y10'' is no shape'",
    "x10, is no shape",
    "64x, is no shape",
    "-1x3, is no shape",
    "64 x 10, is no shape",
    "kernel, '''kernel'' is no shape'",
    "kernel=, is no shape",
    "=3, no name before '='",
    "12345678901, is no shape"
  })
  void whatIsNoShapeIsNamed(String text, String message) {
    TypeConversionException e =
        assertThrows(TypeConversionException.class, () -> NamedShape.parse(text));
    assertTrue(e.getMessage().contains(message.replace("''", "'")), e.getMessage());
  }

  @Test
  void countsElements() {
    assertEquals(640, NamedShape.parse("64x10").elements());
    assertEquals(1, NamedShape.parse("scalar").elements());
    assertEquals(0, NamedShape.parse("64x0").elements());
    assertEquals(1e16, NamedShape.parse("100000000x100000000").elements());
  }
}
