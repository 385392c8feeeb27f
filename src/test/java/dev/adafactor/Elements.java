package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.FloatNdArray;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/** Elements of tensors as doubles, which hold those of any floating point type exactly. */
public final class Elements {

  private Elements() {}

  /** A constant of a type; each element is rounded to it. */
  public static <T extends TNumber> Operand<T> constant(
      Ops tf, Class<T> type, Shape shape, double... elements) {
    Operand<TFloat64> exact = tf.reshape(tf.constant(elements), tf.constant(shape.asArray()));
    return tf.dtypes.cast(exact, type);
  }

  public static TFloat64 tensor(Shape shape, double... elements) {
    return TFloat64.tensorOf(shape, DataBuffers.of(elements));
  }

  /** The elements of what a session computes, copied. */
  public static double[] of(Session session, Operand<TFloat64> operand) {
    try (Result result = session.runner().fetch(operand).run()) {
      return copy(result.get(0));
    }
  }

  /** The elements of a tensor of a floating type, copied. */
  public static double[] copy(Tensor tensor) {
    if (tensor instanceof TFloat64 exact) {
      double[] elements = new double[Math.toIntExact(exact.size())];
      exact.copyTo(DataBuffers.of(elements, false, false));
      return elements;
    }
    FloatNdArray narrower = (FloatNdArray) tensor;
    float[] floats = new float[Math.toIntExact(narrower.size())];
    narrower.copyTo(DataBuffers.of(floats, false, false));
    double[] elements = new double[floats.length];
    Arrays.setAll(elements, i -> floats[i]);
    return elements;
  }

  /** Asserts that elements are equal up to a fraction of the largest. */
  public static void assertClose(double[] expected, double[] actual, double fraction) {
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
