package dev.adafactor.graph;

import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TType;

/**
 * Sums of tensors from several devices, always added up in one order. {@code AddN} of more than two
 * begins with one whose memory it may reuse, and which that is depends on what has arrived from
 * where: the same step would not always have the same bits.
 */
public final class OrderedSum {
  private OrderedSum() {}

  /**
   * Adds the operations.
   *
   * @param parts of one shape, at least one
   */
  public static <T extends TType> Operand<T> of(Ops tf, List<? extends Operand<T>> parts) {
    Operand<T> sum = parts.get(0);
    for (Operand<T> part : parts.subList(1, parts.size())) {
      sum = tf.math.addN(List.of(sum, part));
    }
    return sum;
  }
}
