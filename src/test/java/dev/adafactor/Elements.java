package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/** Elements of tensors of any type as doubles, which hold them all exactly. */
final class Elements {

  private Elements() {}

  /** A constant of a type; each element is rounded to it. */
  static <T extends TNumber> Operand<T> constant(
      Ops tf, Class<T> type, Shape shape, double... elements) {
    Operand<TFloat64> exact = tf.reshape(tf.constant(elements), tf.constant(shape.asArray()));
    return tf.dtypes.cast(exact, type);
  }

  static TFloat64 tensor(Shape shape, double... elements) {
    return TFloat64.tensorOf(shape, DataBuffers.of(elements));
  }

  /** The elements of what a session computes, copied. */
  static double[] of(Session session, Operand<TFloat64> operand) {
    try (Result result = session.runner().fetch(operand).run()) {
      return copy((TFloat64) result.get(0));
    }
  }

  static double[] copy(TFloat64 tensor) {
    double[] elements = new double[Math.toIntExact(tensor.size())];
    if (elements.length > 0) {
      tensor.asRawTensor().data().asDoubles().read(elements);
    }
    return elements;
  }

  /** Asserts that elements are equal up to a fraction of the largest. */
  static void assertClose(double[] expected, double[] actual, double fraction) {
    double scale = 0;
    for (double element : expected) {
      scale = Math.max(scale, Math.abs(element));
    }
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], fraction * scale);
    }
  }
}
