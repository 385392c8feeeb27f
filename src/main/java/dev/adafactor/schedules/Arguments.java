package dev.adafactor.schedules;

import java.util.LinkedHashMap;
import java.util.Map;

/** Checks and configurations of the schedules' arguments. */
final class Arguments {

  private Arguments() {}

  /**
   * @throws IllegalArgumentException if the value is not a finite number in float32, in which
   *     schedules compute
   */
  static void requireFinite(String schedule, String argument, double value) {
    if (!Float.isFinite((float) value)) {
      throw new IllegalArgumentException(
          schedule + ": `" + argument + "` must be a finite float32 number. Received: " + value);
    }
  }

  /**
   * @throws IllegalArgumentException if the value is 0 or not a finite number in float32
   */
  static void requireDivisor(String schedule, String argument, double value) {
    requireFinite(schedule, argument, value);
    if ((float) value == 0) {
      throw new IllegalArgumentException(
          schedule + ": `" + argument + "` must not be 0 in float32. Received: " + value);
    }
  }

  /** A configuration of alternating names and values, in that order. */
  static Map<String, Object> config(Object... namesAndValues) {
    Map<String, Object> config = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      config.put((String) namesAndValues[i], namesAndValues[i + 1]);
    }
    return config;
  }

  /** A number of steps as Python writes it: without a fraction where it has none. */
  static Number steps(double value) {
    if (value == Math.rint(value) && Math.abs(value) < 1L << 53) {
      return (long) value;
    }
    return value;
  }
}
