package dev.adafactor;

import dev.adafactor.files.TensorKind;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Objects;
import org.tensorflow.RawTensor;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/** A copy of a tensor of numbers, which does not change. Equal if all bits are. */
public final class TensorValue {

  private final Class<? extends TNumber> type;
  private final TensorKind kind;
  private final byte[] bytes;

  private TensorValue(Class<? extends TNumber> type, TensorKind kind, byte[] bytes) {
    this.type = type;
    this.kind = kind;
    this.bytes = bytes;
  }

  /**
   * Copies a tensor.
   *
   * @throws IllegalArgumentException if it has 2 GiB or more
   */
  public static TensorValue copyOf(TNumber tensor) {
    RawTensor raw = tensor.asRawTensor();
    if (raw.numBytes() > Integer.MAX_VALUE - Long.BYTES) {
      throw new IllegalArgumentException(
          "a tensor of %,d bytes is too large for a copy in Java".formatted(raw.numBytes()));
    }
    byte[] bytes = new byte[(int) raw.numBytes()];
    if (bytes.length > 0) {
      raw.data().read(bytes);
    }
    return new TensorValue(
        tensor.type().asSubclass(TNumber.class),
        new TensorKind(raw.dataType(), tensor.shape()),
        bytes);
  }

  TensorKind kind() {
    return kind;
  }

  /** The type of the elements. */
  public DataType dtype() {
    return kind.dtype();
  }

  /** The sizes of the dimensions. */
  public Shape shape() {
    return kind.shape();
  }

  /** The elements in row-major order, each in the machine's byte order; not to be written to. */
  public ByteBuffer bytes() {
    return ByteBuffer.wrap(bytes).asReadOnlyBuffer().order(ByteOrder.nativeOrder());
  }

  /** A new tensor, to be closed. */
  public TNumber tensor() {
    return Tensor.of(type, kind.shape(), DataBuffers.of(bytes, true, false));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TensorValue that
        && that.kind.equals(kind)
        && Arrays.equals(that.bytes, bytes);
  }

  @Override
  public int hashCode() {
    return Objects.hash(kind, Arrays.hashCode(bytes));
  }

  @Override
  public String toString() {
    return kind.toString();
  }
}
