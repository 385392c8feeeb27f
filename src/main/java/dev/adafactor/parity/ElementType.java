package dev.adafactor.parity;

import java.util.Arrays;
import java.util.Optional;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * The floating point types that a variable may have, as IEEE-like formats of a sign, an exponent
 * and a fraction. An element is given by its bits, in the low end of a {@code long}.
 */
public enum ElementType {
  /** IEEE binary32. */
  FLOAT32("float32", TFloat32.class, 8, 23),
  /** IEEE binary64. */
  FLOAT64("float64", TFloat64.class, 11, 52),
  /** IEEE binary16. */
  FLOAT16("float16", TFloat16.class, 5, 10),
  /** The upper half of a binary32. */
  BFLOAT16("bfloat16", TBfloat16.class, 8, 7);

  private final String label;
  private final Class<? extends TNumber> tensorType;
  private final int fractionBits;
  private final int bias;
  private final long exponentMask;
  private final long fractionMask;

  ElementType(
      String label, Class<? extends TNumber> tensorType, int exponentBits, int fractionBits) {
    this.label = label;
    this.tensorType = tensorType;
    this.fractionBits = fractionBits;
    this.bias = (1 << (exponentBits - 1)) - 1;
    this.fractionMask = (1L << fractionBits) - 1;
    this.exponentMask = ((1L << exponentBits) - 1) << fractionBits;
  }

  /** The type that TensorFlow calls {@code label}. */
  static Optional<ElementType> of(String label) {
    return Arrays.stream(values()).filter(type -> type.label.equals(label)).findFirst();
  }

  /** TensorFlow's name of the type. */
  public String label() {
    return label;
  }

  /** The class of its tensors. */
  public Class<? extends TNumber> tensorType() {
    return tensorType;
  }

  /** The size of an element in bytes. */
  public int bytes() {
    return (Long.SIZE - Long.numberOfLeadingZeros(exponentMask) + 1) / Byte.SIZE;
  }

  boolean isNaN(long bits) {
    return magnitude(bits) > exponentMask;
  }

  /** Whether two elements are the same bits, or both NaN. */
  boolean isSame(long a, long b) {
    return a == b || (isNaN(a) && isNaN(b));
  }

  boolean isFinite(long bits) {
    return magnitude(bits) < exponentMask;
  }

  /** The value of an element, exact. */
  double toDouble(long bits) {
    long exponent = (bits & exponentMask) >>> fractionBits;
    long fraction = bits & fractionMask;
    double magnitude;
    if (isNaN(bits)) {
      magnitude = Double.NaN;
    } else if (!isFinite(bits)) {
      magnitude = Double.POSITIVE_INFINITY;
    } else if (exponent == 0) {
      magnitude = Math.scalb((double) fraction, 1 - bias - fractionBits);
    } else {
      magnitude =
          Math.scalb(
              (double) (fraction | (fractionMask + 1)), (int) exponent - bias - fractionBits);
    }
    return isNegative(bits) ? -magnitude : magnitude;
  }

  /** The distance between neighbours at a finite magnitude that the type can hold. */
  double ulp(double magnitude) {
    int exponent = Math.max(Math.getExponent(magnitude), 1 - bias);
    return Math.scalb(1.0, exponent - fractionBits);
  }

  /**
   * How many steps from neighbour to neighbour lie between two elements: 0 between the two zeros
   * and between any two NaN; {@link Long#MAX_VALUE} between a number and what is none, between an
   * infinity and anything else, and where the count is too large for a {@code long}.
   */
  long ulps(long a, long b) {
    if (isFinite(a) && isFinite(b)) {
      long first = position(a);
      long second = position(b);
      long difference = first - second;
      boolean overflow = ((first ^ second) & (first ^ difference)) < 0;
      return overflow ? Long.MAX_VALUE : Math.abs(difference);
    }
    return (isNaN(a) && isNaN(b)) || (!isNaN(a) && position(a) == position(b)) ? 0 : Long.MAX_VALUE;
  }

  /** The place of an element that is not NaN on the line of all elements, counted from zero. */
  private long position(long bits) {
    return isNegative(bits) ? -magnitude(bits) : magnitude(bits);
  }

  private long magnitude(long bits) {
    return bits & (exponentMask | fractionMask);
  }

  private boolean isNegative(long bits) {
    long sign = (exponentMask | fractionMask) + 1;
    return (bits & sign) != 0;
  }
}
