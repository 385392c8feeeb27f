package dev.adafactor.parity;

import java.util.List;

/**
 * Everything there is after a step.
 *
 * @param variables for each variable of the case
 * @param iterations the number of steps taken
 * @param learningRate the rate of the step, one float32
 */
public record State(List<VariableState> variables, long iterations, Values learningRate) {
  /** Keeps a copy of the variables. */
  public State {
    variables = List.copyOf(variables);
  }
}
