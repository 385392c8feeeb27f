package dev.adafactor.finetune;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The type of the elements of a {@code .npy} file, as NumPy writes it: {@code <f4}, {@code |u1},
 * {@code <U7}.
 *
 * @param kind what an element is
 * @param size bytes of an element
 * @param order byte order of an element, or of each character of a {@code U} text
 */
record NpyType(Kind kind, int size, ByteOrder order) {

  enum Kind {
    BOOL,
    SIGNED,
    UNSIGNED,
    FLOAT,
    BYTES,
    TEXT;

    boolean isText() {
      return this == BYTES || this == TEXT;
    }

    boolean isInteger() {
      return this == SIGNED || this == UNSIGNED;
    }
  }

  private static final Pattern DESCRIPTION = Pattern.compile("([<>|=])([a-zA-Z])(\\d+)(\\[.*])?");
  private static final Map<String, Kind> KINDS =
      Map.of(
          "b",
          Kind.BOOL,
          "i",
          Kind.SIGNED,
          "u",
          Kind.UNSIGNED,
          "f",
          Kind.FLOAT,
          "S",
          Kind.BYTES,
          "U",
          Kind.TEXT);
  private static final Map<Kind, Set<Integer>> SIZES =
      Map.of(
          Kind.BOOL, Set.of(1),
          Kind.SIGNED, Set.of(1, 2, 4, 8),
          Kind.UNSIGNED, Set.of(1, 2, 4, 8),
          Kind.FLOAT, Set.of(2, 4, 8));
  private static final int BYTES_OF_CHARACTER = 4;

  /**
   * Reads NumPy's description of a type.
   *
   * @throws IllegalArgumentException if it is of no kind that is read here; the message is what is
   *     wrong, without the name of the file
   */
  static NpyType parse(String description) {
    if (description.contains("O")) {
      throw new IllegalArgumentException(
          "holds pickled Python objects, which can run code when they are read; save an array of"
              + " numbers, or of text with .astype('S') or .astype('U')");
    }
    Matcher matcher = DESCRIPTION.matcher(description);
    Kind kind = matcher.matches() ? KINDS.get(matcher.group(2)) : null;
    if (kind != null && matcher.group(3).length() <= 8) {
      int count = Integer.parseInt(matcher.group(3));
      if (kind.isText() || SIZES.get(kind).contains(count)) {
        ByteOrder order =
            matcher.group(1).equals(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        return new NpyType(kind, kind == Kind.TEXT ? count * BYTES_OF_CHARACTER : count, order);
      }
    }
    throw new IllegalArgumentException(
        ("has elements of type '%s'; read are booleans, integers, floats of 2, 4 or 8 bytes, and"
                + " text (S, U)")
            .formatted(description));
  }

  /** The number at a byte position; booleans are 0 and 1. Exact up to 53 bits. */
  double toDouble(ByteBuffer buffer, int position) {
    if (kind != Kind.FLOAT) {
      long value = toLong(buffer, position);
      return kind == Kind.UNSIGNED && value < 0 ? ((value >>> 1) | (value & 1)) * 2.0 : value;
    }
    buffer.order(order);
    return switch (size) {
      case 2 -> halfToFloat(buffer.getShort(position));
      case 4 -> buffer.getFloat(position);
      default -> buffer.getDouble(position);
    };
  }

  /** The integer or boolean at a byte position; an unsigned one from 2^63 on appears negative. */
  long toLong(ByteBuffer buffer, int position) {
    buffer.order(order);
    boolean signed = kind == Kind.SIGNED;
    return switch (size) {
      case 1 -> signed ? buffer.get(position) : buffer.get(position) & 0xFFL;
      case 2 -> signed ? buffer.getShort(position) : buffer.getShort(position) & 0xFFFFL;
      case 4 -> signed ? buffer.getInt(position) : buffer.getInt(position) & 0xFFFFFFFFL;
      default -> buffer.getLong(position);
    };
  }

  /** The text at a byte position, in UTF-8, without the zeros that NumPy fills it up with. */
  byte[] toText(ByteBuffer buffer, int position) {
    if (kind == Kind.BYTES) {
      byte[] bytes = new byte[size];
      buffer.get(position, bytes);
      int length = size;
      while (length > 0 && bytes[length - 1] == 0) {
        length--;
      }
      return Arrays.copyOf(bytes, length);
    }
    buffer.order(order);
    int[] characters = new int[size / BYTES_OF_CHARACTER];
    int length = 0;
    for (int i = 0; i < characters.length; i++) {
      characters[i] = buffer.getInt(position + i * BYTES_OF_CHARACTER);
      if (!Character.isValidCodePoint(characters[i])) {
        throw new IllegalArgumentException(
            "0x%08x, which is no Unicode character,".formatted(characters[i]));
      }
      length = characters[i] == 0 ? length : i + 1;
    }
    return new String(characters, 0, length).getBytes(StandardCharsets.UTF_8);
  }

  /** IEEE 754 binary16 to binary32, exactly. */
  private static float halfToFloat(short half) {
    int exponent = half >> 10 & 0x1F;
    int fraction = half & 0x3FF;
    float magnitude =
        switch (exponent) {
          case 0 -> fraction * 0x1p-24f;
          case 0x1F -> fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
          default -> Math.scalb(1f + fraction * 0x1p-10f, exponent - 15);
        };
    return half < 0 ? -magnitude : magnitude;
  }

  /** As NumPy's {@code dtype.name} says it: {@code float32}, {@code uint8}, {@code S5}. */
  @Override
  public String toString() {
    return switch (kind) {
      case BOOL -> "bool";
      case SIGNED -> "int" + 8 * size;
      case UNSIGNED -> "uint" + 8 * size;
      case FLOAT -> "float" + 8 * size;
      case BYTES -> "S" + size;
      case TEXT -> "U" + size / BYTES_OF_CHARACTER;
    };
  }
}
