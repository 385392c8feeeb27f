package dev.adafactor.finetune;

import dev.adafactor.UpdateStatistics;
import java.util.List;
import java.util.Optional;

/**
 * The optimizer's update at a step, in numbers; {@link UpdateStatistics} says what they are.
 *
 * @param step number of the step, from 1
 * @param detail what is wanted of it
 * @param rho the relative step size
 * @param beta2 the decay of the second moment
 * @param variables those that have an update, in the model's order
 */
public record UpdateReport(
    long step, VariableDetail detail, double rho, double beta2, List<Variable> variables) {

  /**
   * A variable's part.
   *
   * @param name that Python gave the variable; where several have the same, with {@code _1} and so
   *     on behind it
   * @param alpha the step size
   * @param updateRms of the update before clipping
   * @param variableRms of the variable before the update
   * @param clipped the share of clipped updates, from 0 to 1, among those since the report before
   *     it; since the job was begun or resumed, for the first
   * @param distributions with {@link VariableDetail#HISTOGRAMS}
   */
  public record Variable(
      String name,
      double alpha,
      double updateRms,
      double variableRms,
      double clipped,
      Optional<Distributions> distributions) {}

  /**
   * A variable's elements.
   *
   * @param values after the step
   * @param changes by the step, of weight decay and moving averages too
   */
  public record Distributions(Histogram values, Histogram changes) {}
}
