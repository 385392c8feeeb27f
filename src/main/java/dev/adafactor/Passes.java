package dev.adafactor;

import org.tensorflow.Operand;
import org.tensorflow.types.family.TNumber;

/** The passes over the elements of a gradient g that a step needs, but for the last. */
interface Passes<T extends TNumber> {

  /** The means of g² that the second moment is the average of: over rows and columns, or g². */
  SecondMoment<T> meanSquares();

  /**
   * rms(u)², where u = g / √v.
   *
   * @param inverseRoots 1/√v, as factors along the rows and along the columns, or whole
   */
  Operand<T> updateMeanSquare(SecondMoment<T> inverseRoots);
}
