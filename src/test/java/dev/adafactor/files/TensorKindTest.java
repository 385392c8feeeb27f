package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

class TensorKindTest {
  @Test
  void isToldAsTensorFlowDoes() {
    assertEquals(
        "float[3, 3, 1, 16]", new TensorKind(DataType.DT_FLOAT, Shape.of(3, 3, 1, 16)).toString());
  }
}
