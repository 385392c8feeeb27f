package dev.adafactor;

import java.util.List;

/**
 * The gradient of a variable.
 *
 * @param parts that of each of the variable's parts; nothing where there is none
 */
record LogicalGradient(LogicalVariable variable, List<Gradient> parts) {

  boolean isPresent() {
    return !parts.isEmpty();
  }
}
