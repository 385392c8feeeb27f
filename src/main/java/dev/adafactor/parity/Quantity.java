package dev.adafactor.parity;

/** What is compared. */
public enum Quantity {
  /** The loss of a step, before its update. */
  LOSS("loss"),
  /** The variables after a step. */
  VAR("var"),
  /** The second moment. */
  V("v"),
  /** Its averages over the last axis. */
  R("r"),
  /** Its averages over the axis before the last. */
  C("c"),
  /** The moving averages of the variables. */
  EMA("ema"),
  /** The learning rate. */
  LR("lr"),
  /** The step counter. */
  IT("it"),
  /** The variables in the end. */
  FINAL("final");

  private final String label;

  Quantity(String label) {
    this.label = label;
  }

  /** The name in case files. */
  public String label() {
    return label;
  }
}
