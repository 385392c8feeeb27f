package dev.adafactor.parity;

import dev.adafactor.checkpoint.SavedState.Item;

/**
 * How far a tensor of a job done here is from that of the same job done by tf_keras.
 *
 * @param item the tensor
 * @param step after which it is compared, counted from 1
 * @param tally of its elements
 * @param apart the Euclidean distance of the two
 * @param moved that of tf_keras's from where it began; of what has no beginning, the norm
 */
public record Deviation(Item item, long step, Tally tally, double apart, double moved) {

  /** The distance as a part of the way that tf_keras went; 0 where there is none. */
  public double ofWay() {
    return apart == 0 ? 0 : apart / moved;
  }

  /** Whether tf_keras has finite numbers to compare with. */
  public boolean isComparable() {
    return tally.notFinite() == 0;
  }
}
