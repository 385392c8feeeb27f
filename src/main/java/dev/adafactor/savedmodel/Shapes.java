package dev.adafactor.savedmodel;

import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.TensorShapeProto;

/** Shapes as graphs hold them. */
final class Shapes {
  private Shapes() {}

  static Shape of(TensorShapeProto shape) {
    return shape.getUnknownRank()
        ? Shape.unknown()
        : Shape.of(shape.getDimList().stream().mapToLong(TensorShapeProto.Dim::getSize).toArray());
  }
}
