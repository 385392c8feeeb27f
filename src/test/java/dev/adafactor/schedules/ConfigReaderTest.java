package dev.adafactor.schedules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ConfigReaderTest {

  private static ConfigReader reader(Object value) {
    return new ConfigReader(
        "Mine", Collections.singletonMap("x", value), ScheduleRegistry.standard());
  }

  private static String refusal(Object value, Consumer<ConfigReader> read) {
    ConfigReader reader = reader(value);
    return assertThrows(IllegalArgumentException.class, () -> read.accept(reader)).getMessage();
  }

  @Test
  void numbersOfAllKindsAreNumbers() {
    for (Object one : List.of(1, 1L, BigInteger.ONE, 1.0, true)) {
      assertEquals(1.0, reader(one).number("x"));
      assertEquals(1.0, reader(one).numberOrNull("x"));
      assertEquals(List.of(1.0), reader(List.of(one)).numbers("x"));
      assertTrue(reader(one).bool("x"));
    }
  }

  @Test
  void whatIsMissingHasItsDefault() {
    ConfigReader empty = new ConfigReader("Mine", Map.of(), ScheduleRegistry.standard());
    assertEquals(0.5, empty.number("x", 0.5));
    assertTrue(empty.bool("x", true));
    assertNull(empty.numberOrNull("x"));
    assertNull(empty.stringOrNull("x"));
    assertEquals(OptionalInt.empty(), empty.integerOrNull("x"));
    assertEquals(
        "Mine: the argument `x` is missing",
        assertThrows(IllegalArgumentException.class, () -> empty.number("x")).getMessage());
  }

  @Test
  void nullIsFalseAndNoNumber() {
    assertFalse(reader(null).bool("x", true));
    assertNull(reader(null).numberOrNull("x"));
    assertEquals(
        "Mine: `x` must be a number. Received: null", refusal(null, r -> r.number("x", 1)));
  }

  static Stream<Arguments> wrong() {
    return Stream.of(
        Arguments.of("1", (Consumer<ConfigReader>) r -> r.number("x"), "a number", "\"1\""),
        Arguments.of(
            List.of(1),
            (Consumer<ConfigReader>) r -> r.numberOrNull("x"),
            "a number or null",
            "[1]"),
        Arguments.of(
            Arrays.asList(1, null),
            (Consumer<ConfigReader>) r -> r.numbers("x"),
            "a list of numbers",
            "[1,null]"),
        Arguments.of(
            1.0,
            (Consumer<ConfigReader>) r -> r.integerOrNull("x"),
            "an integer (of 32 bits) or null",
            "1.0"),
        Arguments.of(
            "yes", (Consumer<ConfigReader>) r -> r.bool("x", true), "true or false", "\"yes\""),
        Arguments.of(Double.NaN, (Consumer<ConfigReader>) r -> r.string("x"), "a string", "NaN"),
        Arguments.of(
            true, (Consumer<ConfigReader>) r -> r.stringOrNull("x"), "a string or null", "true"),
        Arguments.of(null, (Consumer<ConfigReader>) r -> r.object("x"), "an object", "null"),
        Arguments.of(
            0.1, (Consumer<ConfigReader>) r -> r.schedule("x"), "a serialized schedule", "0.1"));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void aWrongTypeIsNamed(Object value, Consumer<ConfigReader> read, String right, String received) {
    assertEquals("Mine: `x` must be " + right + ". Received: " + received, refusal(value, read));
  }

  @Test
  void aLongValueIsNotPrintedInFull() {
    String message = refusal("y".repeat(10_000), r -> r.number("x"));
    assertTrue(message.length() < 300 && message.endsWith("yyy…"), message);
  }
}
