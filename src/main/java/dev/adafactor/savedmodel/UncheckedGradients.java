package dev.adafactor.savedmodel;

/** What to do with operations whose gradients were not checked against Python's. */
public enum UncheckedGradients {
  /** The model is refused. */
  REFUSE,

  /**
   * TensorFlow's C API is trusted with them: if it has no gradient it says so, if it has a wrong
   * one nothing tells. Those that are known to be wrong, or to end the process, are still refused.
   */
  ALLOW
}
