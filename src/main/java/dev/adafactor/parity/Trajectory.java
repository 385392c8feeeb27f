package dev.adafactor.parity;

import java.util.List;

/**
 * What an optimizer made of a case: recorded from tf_keras, or computed here.
 *
 * @param states after each step
 * @param finalValues the variables after {@code finalize_variable_values}
 */
public record Trajectory(List<State> states, List<Values> finalValues) {
  /** Keeps copies of the lists. */
  public Trajectory {
    states = List.copyOf(states);
    finalValues = List.copyOf(finalValues);
  }
}
