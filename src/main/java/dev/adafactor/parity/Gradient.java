package dev.adafactor.parity;

import java.util.List;

/** The gradient of one variable in one step. */
public sealed interface Gradient {

  /** The variable has no gradient in this step. */
  record None() implements Gradient {}

  /**
   * A gradient of the variable's shape.
   *
   * @param values its elements
   */
  record Dense(Values values) implements Gradient {}

  /**
   * A gradient of some rows of the variable, those that are named twice add up.
   *
   * @param indices the rows along the variable's first axis
   * @param values for each index one slice
   */
  record Sparse(List<Integer> indices, Values values) implements Gradient {
    /** Keeps a copy of the indices. */
    public Sparse {
      indices = List.copyOf(indices);
    }
  }
}
