package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ElementTypeTest {

  @ParameterizedTest
  @CsvSource({"float32,FLOAT32,4", "float64,FLOAT64,8", "float16,FLOAT16,2", "bfloat16,BFLOAT16,2"})
  void namesAndSizesAreTensorFlows(String label, ElementType type, int bytes) {
    assertEquals(Optional.of(type), ElementType.of(label));
    assertEquals(label, type.label());
    assertEquals(bytes, type.bytes());
  }

  @Test
  void unknownNameIsNoType() {
    assertEquals(Optional.empty(), ElementType.of("int32"));
  }

  @Property
  void float32IsJavasFloat(@ForAll int bits) {
    float expected = Float.intBitsToFloat(bits);
    long element = Integer.toUnsignedLong(bits);
    assertEquals((double) expected, ElementType.FLOAT32.toDouble(element));
    assertEquals(Float.isNaN(expected), ElementType.FLOAT32.isNaN(element));
    assertEquals(Float.isFinite(expected), ElementType.FLOAT32.isFinite(element));
  }

  @Property
  void float64IsJavasDouble(@ForAll long bits) {
    double expected = Double.longBitsToDouble(bits);
    assertEquals(expected, ElementType.FLOAT64.toDouble(bits));
    assertEquals(Double.isNaN(expected), ElementType.FLOAT64.isNaN(bits));
    assertEquals(Double.isFinite(expected), ElementType.FLOAT64.isFinite(bits));
  }

  @Property
  void bfloat16IsTheUpperHalfOfFloat32(@ForAll short bits) {
    assertEquals(
        (double) Float.intBitsToFloat(bits << 16),
        ElementType.BFLOAT16.toDouble(Short.toUnsignedLong(bits)));
  }

  @ParameterizedTest
  @CsvSource({
    "0x3c00, 1.0",
    "0xc000, -2.0",
    "0x7bff, 65504.0",
    "0x0001, 5.960464477539063e-8",
    "0x0400, 6.103515625e-5",
    "0x7c00, Infinity",
    "0xfc00, -Infinity",
    "0x7e00, NaN",
    "0x8000, -0.0",
  })
  void float16IsIeeeHalf(String bits, double expected) {
    assertEquals(expected, ElementType.FLOAT16.toDouble(Long.decode(bits)));
  }

  @Property
  void neighboursAreOneUlpApart(@ForAll ElementType type, @ForAll long random) {
    long bits = elementOf(type, random);
    Assume.that(type.isFinite(bits) && type.isFinite(bits + 1));
    assertEquals(1, type.ulps(bits, bits + 1));
  }

  @Property
  void theDistanceOfNeighboursIsTheUlpOfTheSmaller(@ForAll ElementType type, @ForAll long random) {
    long bits = elementOf(type, random);
    Assume.that(type.isFinite(bits) && type.isFinite(bits + 1));
    double magnitude = Math.abs(type.toDouble(bits));
    assertEquals(type.ulp(magnitude), Math.abs(type.toDouble(bits + 1)) - magnitude);
  }

  @Property
  void ulpsAreSymmetricAndZeroOnlyForEqualNumbers(
      @ForAll ElementType type, @ForAll long first, @ForAll long second) {
    long a = elementOf(type, first);
    long b = elementOf(type, second);
    assertEquals(type.ulps(a, b), type.ulps(b, a));
    assertTrue(type.ulps(a, b) >= 0);
    boolean same = type.toDouble(a) == type.toDouble(b) || (type.isNaN(a) && type.isNaN(b));
    assertEquals(same, type.ulps(a, b) == 0);
  }

  @Property
  void ulpsAddUpAlongTheLine(
      @ForAll ElementType type,
      @ForAll @LongRange(min = 0, max = 1000) long there,
      @ForAll @LongRange(min = 0, max = 1000) long further) {
    long sign = 1L << (8 * type.bytes() - 1);
    assertEquals(there + further, type.ulps(sign | there, further));
    assertEquals(further, type.ulps(there, there + further));
  }

  @Property
  void ulpIsJavasForDoubleAndFloat(@ForAll @DoubleRange(min = 0, max = 1e38) double magnitude) {
    assertEquals(Math.ulp(magnitude), ElementType.FLOAT64.ulp(magnitude));
    float single = (float) magnitude;
    assertEquals((double) Math.ulp(single), ElementType.FLOAT32.ulp(single));
  }

  @ParameterizedTest
  @EnumSource
  void infinitiesAndNaNAreFarFromEverythingElse(ElementType type) {
    long infinity = bitsOfInfinity(type);
    long negative = infinity | 1L << (8 * type.bytes() - 1);
    long nan = infinity + 1;
    assertEquals(0, type.ulps(infinity, infinity));
    assertEquals(0, type.ulps(nan, nan + 1));
    assertEquals(Long.MAX_VALUE, type.ulps(infinity, infinity - 1));
    assertEquals(Long.MAX_VALUE, type.ulps(infinity, negative));
    assertEquals(Long.MAX_VALUE, type.ulps(nan, infinity));
    assertEquals(Long.MAX_VALUE, type.ulps(0, nan));
    assertFalse(type.isFinite(infinity));
  }

  @Test
  void moreUlpsThanALongHoldsAreAllThereAre() {
    long largest = Double.doubleToRawLongBits(Double.MAX_VALUE);
    assertEquals(Long.MAX_VALUE, ElementType.FLOAT64.ulps(largest, largest | Long.MIN_VALUE));
  }

  private static long elementOf(ElementType type, long random) {
    return type == ElementType.FLOAT64 ? random : random & ((1L << (8 * type.bytes())) - 1);
  }

  private static long bitsOfInfinity(ElementType type) {
    return switch (type) {
      case FLOAT32 -> 0x7f800000L;
      case FLOAT64 -> 0x7ff0000000000000L;
      case FLOAT16 -> 0x7c00L;
      case BFLOAT16 -> 0x7f80L;
    };
  }
}
