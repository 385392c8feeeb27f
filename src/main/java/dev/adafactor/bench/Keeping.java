package dev.adafactor.bench;

import dev.adafactor.parity.Holding;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** How variables and their dense gradients lie in a graph. */
interface Keeping {

  /**
   * A variable of the graph.
   *
   * @param variable what an optimizer takes
   * @param value the whole
   * @param assignments what gives it its value
   */
  record Kept<T extends TNumber>(
      Operand<? extends TType> variable, Operand<T> value, List<Op> assignments) {}

  /**
   * A gradient that a step reads.
   *
   * @param pair what an optimizer takes
   * @param assignments what gives it its value
   */
  record KeptGradient(GradAndVar<? extends TType> pair, List<Op> assignments) {}

  /** Adds a variable. */
  <T extends TNumber> Kept<T> variable(Ops tf, String name, Operand<T> initial);

  /** Adds a gradient of a variable that was added here. */
  <T extends TNumber> KeptGradient gradient(
      Ops tf, String name, Operand<T> initial, Kept<T> variable);

  /** What optimizer and session must be made with. */
  Holding holding();
}
