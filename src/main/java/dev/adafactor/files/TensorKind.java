package dev.adafactor.files;

import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/** A tensor's type and shape. */
public record TensorKind(DataType dtype, Shape shape) {
  @Override
  public String toString() {
    return DataTypeNames.ofTensorFlow(dtype) + shape;
  }
}
