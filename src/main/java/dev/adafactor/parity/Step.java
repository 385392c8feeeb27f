package dev.adafactor.parity;

import java.util.List;
import java.util.OptionalDouble;

/**
 * What goes into one step.
 *
 * @param newLearningRate the learning rate that is set just before the step, if any is
 * @param gradients one for each variable of the case
 */
public record Step(OptionalDouble newLearningRate, List<Gradient> gradients) {
  /** Keeps a copy of the gradients. */
  public Step {
    gradients = List.copyOf(gradients);
  }
}
