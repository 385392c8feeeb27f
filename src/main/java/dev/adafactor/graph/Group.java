package dev.adafactor.graph;

import java.util.List;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;

/** One operation that stands for several. */
public final class Group {

  private Group() {}

  /**
   * The operation that has run when all have: the only one itself, or one that is added behind
   * them.
   *
   * @param tf adds it; what this scope waits for, the added one does not
   */
  public static Op of(Ops tf, List<? extends Op> all) {
    return all.size() == 1 ? all.get(0) : tf.withControlDependencies(List.<Op>copyOf(all)).noOp();
  }
}
