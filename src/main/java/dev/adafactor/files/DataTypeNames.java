package dev.adafactor.files;

import java.util.Locale;
import org.tensorflow.proto.DataType;

/** What the types of tensors are called. */
public final class DataTypeNames {
  private DataTypeNames() {}

  /** As in TensorFlow's own messages: {@code half}, {@code float}, {@code int64}. */
  public static String ofTensorFlow(DataType type) {
    return type.name().replaceFirst("^DT_", "").toLowerCase(Locale.ROOT);
  }

  /** As in Python: {@code float16}, {@code float32}, {@code int64}. */
  public static String ofPython(DataType type) {
    return switch (type) {
      case DT_HALF -> "float16";
      case DT_FLOAT -> "float32";
      case DT_DOUBLE -> "float64";
      default -> ofTensorFlow(type);
    };
  }
}
