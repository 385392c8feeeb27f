package dev.adafactor.mesh;

import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** In place of a sum over shards: as if each were a variable of its own. */
public final class NoReduction implements Reduction {

  /** There is nothing to be set. */
  public NoReduction() {}

  @Override
  public <T extends TNumber> List<Operand<T>> sum(List<Part<T>> parts) {
    return parts.stream()
        .<Operand<T>>map(
            part -> {
              Ops tf = part.ops();
              Operand<T> count = tf.dtypes.cast(tf.constant(parts.size()), part.value().type());
              return tf.math.mul(part.value(), count);
            })
        .toList();
  }
}
