package dev.adafactor.bench;

import java.io.IOException;

/**
 * An optimizer that is ready to take steps, in this process or in another one. It has taken {@value
 * #STEPS_TO_BEGIN} already, for what is measured of them besides the time.
 */
interface Contender extends AutoCloseable {

  int STEPS_TO_BEGIN = 4;

  Facts facts();

  /**
   * Takes steps.
   *
   * @return milliseconds of each
   */
  double[] run(int steps) throws IOException;

  /** All elements of all variables, in order: meant for small ones. */
  float[] values() throws IOException;

  @Override
  void close();
}
