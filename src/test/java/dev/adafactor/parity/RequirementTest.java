package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.Numerics;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RequirementTest {
  @ParameterizedTest
  @CsvSource({
    "TF_KERAS, amd64,   SAME_BITS",
    "TF_KERAS, x86_64,  SAME_BITS",
    "TF_KERAS, aarch64, WITHIN_ROUNDING",
    "STABLE,   amd64,   WITHIN_ROUNDING",
  })
  void bitsAreAskedOfTfKerasNumericsOnX86(Numerics numerics, String arch, Requirement expected) {
    assertEquals(expected, Requirement.of(numerics, arch));
  }
}
