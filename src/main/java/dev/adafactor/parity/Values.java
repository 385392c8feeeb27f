package dev.adafactor.parity;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.types.family.TNumber;

/** The elements of a tensor in C order, bit for bit. Immutable. */
public final class Values {
  private final ElementType type;
  private final ByteBuffer bytes;

  /** Takes over {@code bytes}, little-endian elements of {@code type}. */
  Values(ElementType type, byte[] bytes) {
    if (bytes.length % type.bytes() != 0) {
      throw new IllegalArgumentException(
          bytes.length + " bytes are no whole number of elements of " + type.label());
    }
    this.type = type;
    this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static Values of(float value) {
    return new Values(
        ElementType.FLOAT32,
        ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN).putFloat(value).array());
  }

  /** Copies a tensor, which may share its memory with a variable. */
  static Values copyOf(ElementType type, Tensor tensor) {
    byte[] bytes = new byte[(int) tensor.numBytes()];
    if (bytes.length > 0) {
      tensor.asRawTensor().data().read(bytes);
    }
    return new Values(type, bytes);
  }

  /** A new tensor of these elements, to be closed by the caller. */
  TNumber toTensor(List<Long> shape) {
    Shape dimensions = Shape.of(shape.stream().mapToLong(Long::longValue).toArray());
    return Tensor.of(type.tensorType(), dimensions, DataBuffers.of(bytes.array(), true, false));
  }

  /** The type of every element. */
  public ElementType type() {
    return type;
  }

  /** The number of elements. */
  public int size() {
    return bytes.capacity() / type.bytes();
  }

  long bits(int index) {
    return switch (type) {
      case FLOAT16, BFLOAT16 -> Short.toUnsignedLong(bytes.getShort(index * Short.BYTES));
      case FLOAT32 -> Integer.toUnsignedLong(bytes.getInt(index * Integer.BYTES));
      case FLOAT64 -> bytes.getLong(index * Long.BYTES);
    };
  }

  /** The value of one element, exact. */
  public double get(int index) {
    return type.toDouble(bits(index));
  }

  /** A copy of the raw little-endian bytes. */
  byte[] toByteArray() {
    return bytes.array().clone();
  }

  /** The indices of the elements that are neither infinite nor NaN. */
  int[] finiteElements() {
    return IntStream.range(0, size()).filter(i -> type.isFinite(bits(i))).toArray();
  }

  /** Whether no element is infinite or NaN. */
  boolean isFinite() {
    return IntStream.range(0, size()).allMatch(i -> type.isFinite(bits(i)));
  }

  /** The largest absolute value of the finite elements, 0 if there is none. */
  double largestMagnitude() {
    double largest = 0;
    for (int i = 0; i < size(); i++) {
      if (type.isFinite(bits(i))) {
        largest = Math.max(largest, Math.abs(get(i)));
      }
    }
    return largest;
  }
}
