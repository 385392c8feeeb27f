package dev.adafactor.parity;

import dev.adafactor.Adafactor;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** How the variables of a case are held in a graph. */
public sealed interface Holding permits VariableKind, OnMesh {

  /**
   * Adds a variable to the graph, and its initializer.
   *
   * @param name the full name of the operation, which may have slashes
   * @return what an optimizer takes as the variable
   */
  <T extends TNumber> Operand<? extends TType> declare(Ops tf, String name, Operand<T> initial);

  /** Adds an operation that gives the variable's value. */
  <T extends TNumber> Operand<T> read(Ops tf, Operand<? extends TType> variable, Class<T> type);

  /**
   * What an optimizer takes as the variable's gradient.
   *
   * @param gradient null for none
   */
  <T extends TNumber> GradAndVar<? extends TType> pair(
      Operand<T> gradient, Operand<? extends TType> variable);

  /** What an optimizer of such variables must be made with. */
  Adafactor.Builder with(Adafactor.Builder builder);

  /** What a session must be made with. */
  ConfigProto with(ConfigProto config);
}
