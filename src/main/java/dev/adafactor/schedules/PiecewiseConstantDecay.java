package dev.adafactor.schedules;

import java.util.List;
import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * {@code values[0]} up to and including step {@code boundaries[0]}, {@code values[1]} up to {@code
 * boundaries[1]}, and so on; the last value beyond the last boundary.
 *
 * @param boundaries steps in rising order; a fraction is cut off, as in tf_keras
 * @param values one more than boundaries
 * @param name tf_keras's name of the operation, or null
 */
public record PiecewiseConstantDecay(List<Double> boundaries, List<Double> values, String name)
    implements TfKerasSchedule {

  /**
   * @throws IllegalArgumentException if there is no boundary, or they fall, or the lengths do not
   *     match, or a number is not finite
   */
  public PiecewiseConstantDecay {
    boundaries = List.copyOf(boundaries);
    values = List.copyOf(values);
    if (boundaries.size() != values.size() - 1) {
      throw new IllegalArgumentException(
          "The length of boundaries should be 1 less than the length of values. Received: "
              + "boundaries="
              + boundaries
              + " of length "
              + boundaries.size()
              + ", and values="
              + values
              + " of length "
              + values.size()
              + ".");
    }
    if (boundaries.isEmpty()) {
      throw new IllegalArgumentException(
          "PiecewiseConstantDecay: `boundaries` must have at least one entry. Received: []");
    }
    for (int i = 0; i < boundaries.size(); i++) {
      Arguments.requireFinite("PiecewiseConstantDecay", "boundaries", boundaries.get(i));
      if (i > 0 && boundaries.get(i).longValue() < boundaries.get(i - 1).longValue()) {
        throw new IllegalArgumentException(
            "PiecewiseConstantDecay: `boundaries` must be in rising order. Received: "
                + boundaries);
      }
    }
    for (double value : values) {
      Arguments.requireFinite("PiecewiseConstantDecay", "values", value);
    }
  }

  /** Without a name. */
  public PiecewiseConstantDecay(List<Double> boundaries, List<Double> values) {
    this(boundaries, values, null);
  }

  /** Reads what {@code get_config()} gives. */
  static PiecewiseConstantDecay of(ConfigReader config) {
    return new PiecewiseConstantDecay(
        config.numbers("boundaries"), config.numbers("values"), config.stringOrNull("name"));
  }

  @Override
  public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
    long[] steps = boundaries.stream().mapToLong(Double::longValue).toArray();
    float[] rates = new float[values.size()];
    for (int i = 0; i < rates.length; i++) {
      rates[i] = values.get(i).floatValue();
    }
    Operand<TInt32> passed =
        tf.reduceSum(
            tf.dtypes.cast(tf.math.greater(step, tf.constant(steps)), TInt32.class),
            tf.constant(0));
    return tf.gather(tf.constant(rates), passed, tf.constant(0));
  }

  @Override
  public Map<String, Object> config() {
    return Arguments.config(
        "boundaries", boundaries.stream().map(Arguments::steps).toList(),
        "values", values,
        "name", name);
  }
}
