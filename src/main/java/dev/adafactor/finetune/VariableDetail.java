package dev.adafactor.finetune;

/**
 * How much is told of the variables that are trained, and of their updates; each in addition to
 * what comes before it.
 */
public enum VariableDetail {
  /** Nothing; nothing is computed for it either. */
  NONE,

  /** The least, median and largest number among the variables. */
  SUMMARY,

  /** The numbers of each variable. */
  SCALARS,

  /**
   * How the elements of each variable, and their changes by the step, are distributed. At such a
   * step the variables take memory three times.
   */
  HISTOGRAMS
}
