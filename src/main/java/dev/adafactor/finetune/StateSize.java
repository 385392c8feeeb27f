package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/**
 * What optimizers keep in memory for the same parameters, in bytes. The step counter and the
 * learning rate, a few bytes in each of them, are left out.
 *
 * @param parameters the trainable parameters themselves
 * @param adafactor this library's Adafactor: a row and a column factor for each variable of rank 2
 *     or more, the full second moment for the others, moving averages where they are in use
 * @param tfKerasAdafactor tf_keras's Adafactor, which keeps a full second moment for every variable
 *     beside the factors, and the averages
 * @param adam Adam: two moments, and the averages
 */
public record StateSize(long parameters, long adafactor, long tfKerasAdafactor, long adam) {

  /**
   * A variable, as far as the size of its state goes.
   *
   * @param shape shape of its value
   * @param dtype a floating-point type
   */
  public record Parameter(Shape shape, DataType dtype) {}

  /**
   * The sizes for these variables with the arguments that optimizers have by default, before there
   * is an optimizer.
   */
  public static StateSize byDefault(List<Parameter> variables) {
    // The half types' state is kept in float32.
    int least = 4;
    long state = 0;
    for (Parameter variable : variables) {
      long elements =
          variable.shape().numDimensions() >= 2
              ? factors(variable.shape())
              : variable.shape().size();
      state += elements * Math.max(least, width(variable.dtype()));
    }
    return of(variables, state, 0);
  }

  private static long factors(Shape shape) {
    int rank = shape.numDimensions();
    return shape.take(rank - 1).size() + shape.take(rank - 2).append(shape.get(-1)).size();
  }

  /**
   * The sizes for these variables.
   *
   * @param adafactor bytes of all slots that Adafactor has for them
   * @param averages bytes of those slots that are moving averages, which every optimizer of
   *     tf_keras can keep
   */
  static StateSize of(List<Parameter> variables, long adafactor, long averages) {
    long parameters = 0;
    long factors = 0;
    for (Parameter variable : variables) {
      Shape shape = variable.shape();
      long width = width(variable.dtype());
      parameters += shape.size() * width;
      if (shape.numDimensions() >= 2) {
        factors += factors(shape) * width;
      }
    }
    return new StateSize(
        parameters, adafactor, factors + parameters + averages, 2 * parameters + averages);
  }

  /** Bytes of the slots of these names that an optimizer has for variables. */
  static long slots(Adafactor adafactor, List<Output<?>> variables, List<String> names) {
    return variables.stream()
        .flatMap(variable -> names.stream().map(name -> adafactor.getSlot(variable, name)))
        .flatMap(Optional::stream)
        .map(Operand::asOutput)
        .mapToLong(slot -> slot.shape().size() * width(slot.dataType()))
        .sum();
  }

  /** Bytes of an element of a floating-point type, or of a reference to a variable of it. */
  static long width(DataType dtype) {
    return switch (dtype) {
      case DT_HALF, DT_BFLOAT16, DT_HALF_REF, DT_BFLOAT16_REF -> 2;
      case DT_FLOAT, DT_FLOAT_REF -> 4;
      case DT_DOUBLE, DT_DOUBLE_REF -> 8;
      default -> throw new IllegalArgumentException(dtype + " is no floating-point type");
    };
  }
}
