package dev.adafactor.parity;

/** What there is to say of a run that was done on both sides, the worst first. */
public enum Standing {
  /** It could not run here. */
  FAILED,

  /** Something differs by more than the requirement allows. */
  APART,

  /** tf_keras has numbers that are not finite, and so the run as a whole cannot be compared. */
  NOT_COMPARABLE,

  /**
   * All is as the requirement wants it, which asks for nothing where tf_keras has no finite number:
   * and it has some that are none.
   */
  NOT_FINITE,

  /** It differs, by no more than the requirement allows. */
  WITHIN_ROUNDING,

  /** All bits are the same, but for the payload of NaN. */
  BIT_EQUAL,

  /** There is nothing to compare with. */
  UNRECORDED
}
