package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.VariableView;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * One step of Adafactor for one variable (the paper's algorithms 4 and 5): a pure function of
 * gradient, variable and state. The variable then becomes {@code w - rate * direction}.
 */
interface UpdateRule {

  /**
   * What a step changes.
   *
   * @param rate a scalar
   * @param direction of the variable's shape
   * @param state the new second moment
   * @param statistics what rate and direction come of
   */
  record Step<T extends TNumber>(
      Operand<T> rate,
      Operand<T> direction,
      SecondMoment<T> state,
      UpdateStatistics<T> statistics) {}

  /** The type of the state and of the computation for variables of a type. */
  Class<? extends TNumber> computeType(Class<? extends TNumber> variable);

  /**
   * Adds the operations of the step.
   *
   * @param g the gradient, dense
   * @param w the variable before the step, after weight decay
   */
  <T extends TNumber> Step<T> step(
      Constants constants, Scalars<T> scalars, Operand<T> g, Operand<T> w, SecondMoment<T> state);

  /**
   * Adds the write of the variable, w - rate * direction.
   *
   * @param gated where writes to variables go
   * @param w the variable's value before
   */
  <T extends TNumber, C extends TNumber> Op apply(
      Ops ops,
      Ops gated,
      VariableView<T> variable,
      Operand<T> w,
      Operand<C> rate,
      Operand<C> direction);
}
