package dev.adafactor.bench;

import java.util.List;

/**
 * The variables that a step updates.
 *
 * @param name for people
 * @param parameters one or more
 */
public record ShapeSet(String name, List<Parameter> parameters) {

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if there are no variables
   */
  public ShapeSet {
    parameters = List.copyOf(parameters);
    if (parameters.isEmpty()) {
      throw new IllegalArgumentException("'%s' has no variables".formatted(name));
    }
  }

  /** How many numbers the variables are. */
  public long elements() {
    return parameters.stream().mapToLong(Parameter::elements).sum();
  }

  /** How many numbers the gradients are. */
  long gradientElements() {
    return parameters.stream().mapToLong(each -> each.gradientShape().size()).sum();
  }
}
