package dev.adafactor.bench;

import java.io.IOException;

/** An optimizer that is ready to take steps, in this process or in another one. */
interface Contender extends AutoCloseable {

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
