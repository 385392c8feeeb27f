package dev.adafactor.bench;

import java.io.IOException;

/**
 * An optimizer that is ready to take steps, in this process or in another one. It has taken {@value
 * #STEPS_TO_BEGIN} already, for what is measured of them besides the time.
 */
interface Contender extends AutoCloseable {

  int STEPS_TO_BEGIN = 4;
  int STEPS_TO_SETTLE = 2;

  Facts facts();

  /**
   * Takes steps.
   *
   * @return milliseconds of each
   */
  double[] run(int steps) throws IOException;

  /**
   * Takes steps of which the first ones do not count: caches are full of what had its turn before,
   * and its threads may still be awake.
   *
   * @return milliseconds of each that counts
   */
  default double[] turn(int steps) throws IOException {
    run(STEPS_TO_SETTLE);
    return run(steps);
  }

  /** All elements of all variables, in order: meant for small ones. */
  float[] values() throws IOException;

  @Override
  void close();
}
