package dev.adafactor.schedules;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The arguments in a configuration of tf_keras, each taken by its name and with its type.
 *
 * <p>Every method that reads an argument throws an IllegalArgumentException that names the owner,
 * the argument, what was given and what would be right, if the value is of another type, or if the
 * argument has no default and is missing. {@link #requireNothingLeft} does so for arguments that
 * nobody asked for.
 *
 * <p>Numbers and truth values stand for each other as in Python: {@code true} is 1, and 0 and null
 * are false.
 */
public final class ConfigReader {

  private static final int LONGEST_VALUE = 200;

  private static final JsonMapper MAPPER =
      JsonMapper.builder().disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS).build();

  private final String owner;
  private final Map<String, Object> config;
  private final ScheduleRegistry schedules;
  private final Set<String> asked = new LinkedHashSet<>();

  /**
   * @param owner what the arguments belong to, for messages
   * @param config the arguments: numbers, booleans, strings, lists, maps and nulls
   * @param schedules what {@link #schedule} knows
   */
  public ConfigReader(String owner, Map<String, ?> config, ScheduleRegistry schedules) {
    this.owner = owner;
    this.config = Collections.unmodifiableMap(new LinkedHashMap<>(config));
    this.schedules = schedules;
  }

  /** All arguments there are, in their order. */
  public Set<String> keys() {
    return config.keySet();
  }

  /** Whether the argument is there, though it may be null. */
  public boolean has(String key) {
    asked.add(key);
    return config.containsKey(key);
  }

  /** The value of any type; null if the argument is missing. */
  public Object value(String key) {
    return has(key) ? config.get(key) : null;
  }

  private Object required(String key) {
    if (!has(key)) {
      throw new IllegalArgumentException(owner + ": the argument `" + key + "` is missing");
    }
    return config.get(key);
  }

  /** A number. */
  public double number(String key) {
    return toNumber(key, "a number", required(key));
  }

  /** A number; the default if it is missing. */
  public double number(String key, double defaultValue) {
    return has(key) ? number(key) : defaultValue;
  }

  /** A number; null if it is null or missing. */
  public Double numberOrNull(String key) {
    Object value = value(key);
    return value == null ? null : toNumber(key, "a number or null", value);
  }

  /** A list of numbers. */
  public List<Double> numbers(String key) {
    if (!(required(key) instanceof List<?> values)) {
      throw wrong(key, "a list of numbers");
    }
    List<Double> numbers = new ArrayList<>();
    values.forEach(value -> numbers.add(toNumber(key, "a list of numbers", value)));
    return numbers;
  }

  private double toNumber(String key, String right, Object value) {
    if (value instanceof Number number) {
      return number.doubleValue();
    }
    if (value instanceof Boolean truth) {
      return truth ? 1 : 0;
    }
    throw wrong(key, right);
  }

  /** An integer of 32 bits; empty if it is null or missing. */
  public OptionalInt integerOrNull(String key) {
    Object value = value(key);
    if (value == null) {
      return OptionalInt.empty();
    }
    if (value instanceof Boolean truth) {
      return OptionalInt.of(truth ? 1 : 0);
    }
    if (value instanceof Integer integer) {
      return OptionalInt.of(integer);
    }
    throw wrong(key, "an integer (of 32 bits) or null");
  }

  /** A truth value. */
  public boolean bool(String key) {
    Object value = required(key);
    if (value instanceof Number number) {
      return number.doubleValue() != 0;
    }
    if (value == null || value instanceof Boolean) {
      return Boolean.TRUE.equals(value);
    }
    throw wrong(key, "true or false");
  }

  /** A truth value; the default if it is missing. */
  public boolean bool(String key, boolean defaultValue) {
    return has(key) ? bool(key) : defaultValue;
  }

  /** A text. */
  public String string(String key) {
    if (required(key) instanceof String text) {
      return text;
    }
    throw wrong(key, "a string");
  }

  /** A text; null if it is null or missing. */
  public String stringOrNull(String key) {
    Object value = value(key);
    if (value == null || value instanceof String) {
      return (String) value;
    }
    throw wrong(key, "a string or null");
  }

  /** An object, as a map. */
  public Map<String, Object> object(String key) {
    if (required(key) instanceof Map<?, ?> members) {
      Map<String, Object> object = new LinkedHashMap<>();
      members.forEach((name, value) -> object.put((String) name, value));
      return object;
    }
    throw wrong(key, "an object");
  }

  /** A serialized schedule, as one that wraps another has it among its arguments. */
  public LearningRateSchedule schedule(String key) {
    if (!(required(key) instanceof Map<?, ?>)) {
      throw wrong(key, "a serialized schedule");
    }
    return schedules.read(owner + ": `" + key + "`", object(key));
  }

  /**
   * Checks that every argument was asked for.
   *
   * @throws IllegalArgumentException naming the first one that was not, and those that were
   */
  public void requireNothingLeft() {
    for (String key : config.keySet()) {
      if (!asked.contains(key)) {
        throw new IllegalArgumentException(
            owner
                + " has no argument `"
                + key
                + "`; its arguments are "
                + String.join(", ", asked)
                + ". Received: "
                + json(config.get(key)));
      }
    }
  }

  /** What to throw about an argument whose value is none of what would be right. */
  public IllegalArgumentException wrong(String key, String right) {
    return new IllegalArgumentException(
        owner + ": `" + key + "` must be " + right + ". Received: " + json(config.get(key)));
  }

  static String json(Object value) {
    try {
      String text = MAPPER.writeValueAsString(value);
      return text.length() > LONGEST_VALUE ? text.substring(0, LONGEST_VALUE) + "…" : text;
    } catch (JsonProcessingException e) {
      return String.valueOf(value);
    }
  }
}
