package dev.adafactor;

/** Which operations compute the update. */
public enum Numerics {
  /**
   * Equal to tf_keras up to rounding; finite wherever the mathematics is finite; few passes over
   * memory. The default.
   */
  STABLE,

  /** tf_keras's own operations in tf_keras's own order: equal bit for bit, its NaN included. */
  TF_KERAS
}
