package dev.adafactor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.function.IntConsumer;
import java.util.function.UnaryOperator;

/** Takes typed arguments out of a JSON object, and tells which were not asked for. */
final class ConfigReader {

  private final String owner;
  private final ObjectNode json;
  private final Set<String> left = new LinkedHashSet<>();

  /**
   * @param owner what the arguments belong to, for messages
   */
  ConfigReader(String owner, ObjectNode json) {
    this.owner = owner;
    this.json = json;
    json.fieldNames().forEachRemaining(left::add);
  }

  /** The arguments that were not asked for yet, in the order of the JSON. */
  Set<String> keys() {
    return Collections.unmodifiableSet(left);
  }

  boolean has(String key) {
    return json.has(key);
  }

  void ignore(String key) {
    left.remove(key);
  }

  /** The value of a key, or null if the key is absent. */
  JsonNode take(String key) {
    left.remove(key);
    return json.get(key);
  }

  /** Whether the value counts as true in Python. */
  boolean isTruthy(String key) {
    JsonNode value = take(key);
    return value != null
        && !value.isNull()
        && !(value.isBoolean() && !value.booleanValue())
        && !(value.isNumber() && value.doubleValue() == 0)
        && !(value.isTextual() && value.textValue().isEmpty())
        && !(value.isContainerNode() && value.isEmpty());
  }

  /**
   * @param right what the value must be, for the message
   */
  double toNumber(String key, String right, JsonNode value) {
    if (!value.isNumber()) {
      throw wrong(key, right, value);
    }
    return value.doubleValue();
  }

  private double toNumber(String key, JsonNode value) {
    if (value.isBoolean()) {
      return value.booleanValue() ? 1 : 0; // as in Python
    }
    return toNumber(key, "a number", value);
  }

  /** The value of a key that must be there. */
  private JsonNode require(String key) {
    JsonNode value = take(key);
    if (value == null) {
      throw new IllegalArgumentException(owner + ": the argument `" + key + "` is missing");
    }
    return value;
  }

  double number(String key) {
    return toNumber(key, require(key));
  }

  double number(String key, double defaultValue) {
    return has(key) ? number(key) : defaultValue;
  }

  /** The number, or null if the key is absent or its value null. */
  Double numberOrNull(String key) {
    JsonNode value = take(key);
    return value == null || value.isNull() ? null : toNumber(key, value);
  }

  List<Double> numbers(String key) {
    JsonNode value = require(key);
    if (!value.isArray()) {
      throw wrong(key, "a list of numbers", value);
    }
    List<Double> numbers = new ArrayList<>();
    value.forEach(element -> numbers.add(toNumber(key, element)));
    return numbers;
  }

  /** A truth value; a number and null count as one, as in Python. */
  boolean bool(String key, boolean defaultValue) {
    JsonNode value = json.get(key);
    if (value == null) {
      return defaultValue;
    }
    if (value.isTextual() || value.isContainerNode()) {
      throw wrong(key, "true or false", value);
    }
    return isTruthy(key);
  }

  String string(String key, String defaultValue) {
    JsonNode value = take(key);
    if (value == null || value.isNull()) {
      return defaultValue;
    }
    if (!value.isTextual()) {
      throw wrong(key, "a string or null", value);
    }
    return value.textValue();
  }

  ObjectNode object(String key) {
    JsonNode value = require(key);
    if (value instanceof ObjectNode object) {
      return object;
    }
    throw wrong(key, "an object", value);
  }

  void ifNumber(String key, DoubleConsumer consumer) {
    if (has(key)) {
      consumer.accept(number(key));
    }
  }

  void ifOptionalNumber(String key, DoubleConsumer consumer) {
    Double value = numberOrNull(key);
    if (value != null) {
      consumer.accept(value);
    }
  }

  void ifOptionalInteger(String key, IntConsumer consumer) {
    JsonNode value = take(key);
    if (value == null || value.isNull()) {
      return;
    }
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw wrong(key, "an integer or null", value);
    }
    consumer.accept(value.intValue());
  }

  void ifBoolean(String key, Consumer<Boolean> consumer) {
    if (has(key)) {
      consumer.accept(bool(key, false));
    }
  }

  /**
   * @throws IllegalArgumentException if the object has a key that nothing asked for
   */
  void requireNothingLeft(UnaryOperator<String> message) {
    if (!left.isEmpty()) {
      throw new IllegalArgumentException(message.apply(left.iterator().next()));
    }
  }

  private IllegalArgumentException wrong(String key, String right, JsonNode value) {
    return new IllegalArgumentException(
        owner + ": `" + key + "` must be " + right + ". Received: " + value);
  }
}
