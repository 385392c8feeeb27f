package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Mean;
import org.tensorflow.types.family.TNumber;

/** What the first axis of a tensor means. */
enum Extent {
  /** The tensor is of one variable. */
  VARIABLE {
    @Override
    <T extends TNumber> Operand<T> meanSquare(Ops first, Constants constants, Operand<T> x) {
      return constants
          .ops()
          .math
          .mul(first.nn.l2Loss(x), constants.number(x.type(), 2.0 / x.shape().size()));
    }
  },

  /** The tensor is a stack of the tensors of several variables. */
  STACK {
    @Override
    <T extends TNumber> Operand<T> meanSquare(Ops first, Constants constants, Operand<T> x) {
      int[] axes = IntStream.range(1, x.shape().numDimensions()).toArray();
      return constants
          .ops()
          .math
          .mean(first.math.square(x), constants.axes(axes), Mean.keepDims(true));
    }
  };

  /**
   * The mean square of each variable, of a shape that combines with the variable's.
   *
   * @param first for the operation that comes first
   */
  abstract <T extends TNumber> Operand<T> meanSquare(Ops first, Constants constants, Operand<T> x);
}
