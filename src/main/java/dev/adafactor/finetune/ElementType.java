package dev.adafactor.finetune;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.ByteDataBuffer;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.TString;
import org.tensorflow.types.TUint16;
import org.tensorflow.types.TUint8;
import org.tensorflow.types.family.TType;

/** The types of tensors that batches are made of, and how elements of files become them. */
enum ElementType {
  FLOAT16(DataType.DT_HALF, TFloat16.class, -65504, 65504),
  BFLOAT16(DataType.DT_BFLOAT16, TBfloat16.class, -0x1.FEp127, 0x1.FEp127),
  FLOAT32(DataType.DT_FLOAT, TFloat32.class, -Float.MAX_VALUE, Float.MAX_VALUE),
  FLOAT64(DataType.DT_DOUBLE, TFloat64.class, -Double.MAX_VALUE, Double.MAX_VALUE),
  UINT8(DataType.DT_UINT8, TUint8.class, 0, 0xFF),
  UINT16(DataType.DT_UINT16, TUint16.class, 0, 0xFFFF),
  INT32(DataType.DT_INT32, TInt32.class, Integer.MIN_VALUE, Integer.MAX_VALUE),
  INT64(DataType.DT_INT64, TInt64.class, Long.MIN_VALUE, Long.MAX_VALUE),
  BOOL(DataType.DT_BOOL, TBool.class, 0, 1),
  STRING(DataType.DT_STRING, TString.class, Double.NaN, Double.NaN);

  private final DataType dtype;
  private final Class<? extends TType> tensorType;
  private final double least;
  private final double greatest;

  ElementType(DataType dtype, Class<? extends TType> tensorType, double least, double greatest) {
    this.dtype = dtype;
    this.tensorType = tensorType;
    this.least = least;
    this.greatest = greatest;
  }

  /**
   * The type of a tensor.
   *
   * @throws IllegalArgumentException if no batch of it can be made
   */
  static ElementType of(DataType dtype) {
    return Arrays.stream(values())
        .filter(type -> type.dtype == dtype)
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "tensors of type %s cannot be made of .npy files; the types are %s"
                        .formatted(
                            dtype,
                            Arrays.stream(values())
                                .map(ElementType::toString)
                                .collect(Collectors.joining(", ")))));
  }

  boolean isFloat() {
    return List.of(FLOAT16, BFLOAT16, FLOAT32, FLOAT64).contains(this);
  }

  boolean isInteger() {
    return List.of(UINT8, UINT16, INT32, INT64).contains(this);
  }

  /** Whether elements of a file can become this, losing no more than precision. */
  boolean takes(NpyType source) {
    return switch (this) {
      case STRING -> source.kind().isText();
      case BOOL -> source.kind() == NpyType.Kind.BOOL;
      default -> !source.kind().isText() && (isFloat() || source.kind() != NpyType.Kind.FLOAT);
    };
  }

  /** What {@link #takes} allows, in words. */
  String sources() {
    return switch (this) {
      case STRING -> "text (S or U)";
      case BOOL -> "bool";
      default -> isFloat() ? "numbers" : "integers";
    };
  }

  /** Whether a finite number is within the range of this type. */
  boolean holds(double value) {
    return value >= least && value <= greatest;
  }

  /** Whether the numbers of a file are this type's, byte by byte. */
  boolean isNumberOf(NpyType source) {
    return (isFloat() || isInteger())
        && source.toString().equals(toString()) // Both as NumPy names them.
        && (source.size() == 1 || source.order() == ByteOrder.nativeOrder());
  }

  /** A tensor whose bytes are written by the caller. */
  Tensor tensor(Shape shape, Consumer<ByteDataBuffer> writer) {
    return Tensor.of(tensorType, shape, made -> writer.accept(made.asRawTensor().data()));
  }

  /** A tensor of {@code count} elements that lie one after the other from position 0. */
  Tensor tensor(NpyType source, ByteBuffer elements, int count, Shape shape) {
    int size = source.size();
    switch (this) {
      case FLOAT16, BFLOAT16, FLOAT32 -> {
        float[] values = new float[count];
        if (source.kind() == NpyType.Kind.FLOAT && size == Float.BYTES) {
          elements.rewind().order(source.order()).asFloatBuffer().get(values);
        } else {
          for (int i = 0; i < count; i++) {
            values[i] = (float) source.toDouble(elements, i * size);
          }
        }
        return switch (this) {
          case FLOAT16 -> TFloat16.tensorOf(shape, DataBuffers.of(values));
          case BFLOAT16 -> TBfloat16.tensorOf(shape, DataBuffers.of(values));
          default -> TFloat32.tensorOf(shape, DataBuffers.of(values));
        };
      }
      case FLOAT64 -> {
        double[] values = new double[count];
        Arrays.setAll(values, i -> source.toDouble(elements, i * size));
        return TFloat64.tensorOf(shape, DataBuffers.of(values));
      }
      case INT32 -> {
        int[] values = new int[count];
        Arrays.setAll(values, i -> (int) source.toLong(elements, i * size));
        return TInt32.tensorOf(shape, DataBuffers.of(values));
      }
      case INT64 -> {
        long[] values = new long[count];
        Arrays.setAll(values, i -> source.toLong(elements, i * size));
        return TInt64.tensorOf(shape, DataBuffers.of(values));
      }
      case UINT8 -> {
        byte[] values = new byte[count];
        for (int i = 0; i < count; i++) {
          values[i] = (byte) source.toLong(elements, i * size);
        }
        return TUint8.tensorOf(shape, DataBuffers.of(values));
      }
      case UINT16 -> {
        ByteBuffer values = ByteBuffer.allocate(count * Short.BYTES).order(ByteOrder.nativeOrder());
        for (int i = 0; i < count; i++) {
          values.putShort((short) source.toLong(elements, i * size));
        }
        return Tensor.of(TUint16.class, shape, DataBuffers.of(values.array()));
      }
      case BOOL -> {
        boolean[] values = new boolean[count];
        for (int i = 0; i < count; i++) {
          values[i] = source.toLong(elements, i * size) != 0;
        }
        return TBool.tensorOf(shape, DataBuffers.of(values));
      }
      case STRING -> {
        byte[][] texts = new byte[count][];
        Arrays.setAll(texts, i -> source.toText(elements, i * size));
        return TString.tensorOfBytes(shape, DataBuffers.ofObjects(texts));
      }
      default -> throw new AssertionError(this);
    }
  }

  /** As NumPy names it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
