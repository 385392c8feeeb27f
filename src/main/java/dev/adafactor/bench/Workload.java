package dev.adafactor.bench;

import dev.adafactor.parity.ElementType;

/**
 * What every contender is given.
 *
 * @param shapes the variables
 * @param type of their elements
 * @param threads that compute
 */
public record Workload(ShapeSet shapes, ElementType type, int threads) {

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if there are no threads
   */
  public Workload {
    if (threads < 1) {
      throw new IllegalArgumentException("%d is no number of threads".formatted(threads));
    }
  }

  /** The size of the variables. */
  long parameterBytes() {
    return shapes.elements() * type.bytes();
  }
}
