package dev.adafactor.parity;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A place in a JSON document that knows the way to itself, so that whatever is wrong there can be
 * named. Every method that reads a value throws an IllegalArgumentException if the value is of
 * another kind.
 */
final class Field {
  private final Optional<Field> parent;
  private final String name;
  private final JsonNode node;

  private Field(Optional<Field> parent, String name, JsonNode node) {
    this.parent = parent;
    this.name = name;
    this.node = node;
  }

  /** The top of a document that error messages call {@code name}. */
  static Field root(String name, JsonNode node) {
    return new Field(Optional.empty(), name, node);
  }

  /** The same place under another name. */
  Field named(String newName) {
    return new Field(parent, newName, node);
  }

  /** A member that has to be there, though it may be null. */
  Field get(String member) {
    JsonNode value = object().get(member);
    if (value == null) {
      throw bad("has no \"" + member + "\"");
    }
    return child(member, value);
  }

  /** A member, unless it is missing or null. */
  Optional<Field> find(String member) {
    JsonNode value = object().get(member);
    return value == null || value.isNull() ? Optional.empty() : Optional.of(child(member, value));
  }

  boolean has(String member) {
    return object().has(member);
  }

  boolean isNull() {
    return node.isNull();
  }

  boolean isText() {
    return node.isTextual();
  }

  boolean isNumber() {
    return node.isNumber();
  }

  boolean isBoolean() {
    return node.isBoolean();
  }

  ObjectNode object() {
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw unexpected("an object");
  }

  String text() {
    if (!node.isTextual()) {
      throw unexpected("a text");
    }
    return node.textValue();
  }

  double number() {
    if (!node.isNumber()) {
      throw unexpected("a number");
    }
    return node.doubleValue();
  }

  /** An integer between the two, both included. */
  long integer(long least, long most) {
    if (!node.isIntegralNumber()) {
      throw unexpected("an integer");
    }
    if (!node.canConvertToLong() || node.longValue() < least || node.longValue() > most) {
      throw bad(node + " is not between " + least + " and " + most);
    }
    return node.longValue();
  }

  /** The elements of an array, each as {@code read} reads it. */
  <T> List<T> list(Function<Field, T> read) {
    if (!node.isArray()) {
      throw unexpected("an array");
    }
    List<T> list = new ArrayList<>(node.size());
    for (JsonNode element : node) {
      list.add(read.apply(child("[" + list.size() + "]", element)));
    }
    return list;
  }

  /** The elements of an array that has to have as many as there are variables. */
  List<Field> perVariable(int variables) {
    List<Field> list = list(Function.identity());
    if (list.size() != variables) {
      throw bad("has " + list.size() + " entries, but the case has " + variables + " variables");
    }
    return list;
  }

  /** The members of an object. */
  List<Field> members() {
    List<Field> members = new ArrayList<>();
    for (Map.Entry<String, JsonNode> member : object().properties()) {
      members.add(child(member.getKey(), member.getValue()));
    }
    return members;
  }

  /** The elements of a tensor, in base64. */
  Values values(ElementType type, List<Long> shape) {
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(text());
    } catch (IllegalArgumentException e) {
      if (!node.isTextual()) {
        throw e;
      }
      throw bad("is no base64: " + e.getMessage());
    }
    long expected = shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
    if (bytes.length != expected) {
      throw bad(
          String.format(
              "has %d bytes, but shape %s of %s needs %d",
              bytes.length, shape, type.label(), expected));
    }
    return new Values(type, bytes);
  }

  /** What to throw about this place. */
  IllegalArgumentException bad(String problem) {
    return new IllegalArgumentException(this + ": " + problem);
  }

  /** What to throw if this is of another kind. */
  IllegalArgumentException unexpected(String expected) {
    JsonNodeType type = node.getNodeType();
    String found =
        switch (type) {
          case STRING -> "a text";
          case ARRAY -> "an array";
          case OBJECT, POJO -> "an object";
          case NULL, MISSING -> "null";
          case NUMBER, BOOLEAN, BINARY -> node.toString();
        };
    return bad("is " + found + ", not " + expected);
  }

  private Field child(String childName, JsonNode value) {
    return new Field(Optional.of(this), childName, value);
  }

  @Override
  public String toString() {
    if (parent.isEmpty() || name.startsWith("[")) {
      return parent.map(Field::toString).orElse("") + name;
    }
    Field above = parent.get();
    return above + (above.parent.isEmpty() ? ": " : ".") + name;
  }
}
