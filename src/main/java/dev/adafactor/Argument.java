package dev.adafactor;

/**
 * A number given as an argument.
 *
 * @param name as tf_keras has it
 */
record Argument(String name, double value) {

  void requireNumber() {
    if (Double.isNaN(value)) {
      throw not("be a number");
    }
  }

  void requireFinite() {
    if (!Double.isFinite(value)) {
      throw not("be a finite number");
    }
  }

  /** For what goes through float32, as in tf_keras. */
  void requireFiniteFloat() {
    requireFinite();
    if (!Float.isFinite((float) value)) {
      throw not("fit into float32");
    }
  }

  private IllegalArgumentException not(String wanted) {
    return new IllegalArgumentException(
        "`" + name + "` must " + wanted + ". Received: " + name + "=" + value);
  }
}
