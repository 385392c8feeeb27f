package dev.adafactor.savedmodel;

/**
 * An operation of a model through which no gradient can be taken.
 *
 * @param type type of the operation, such as {@code Conv2D}
 * @param name its name in the signature's flat copy, which tells the layer
 * @param reason what is wrong with it, as the end of a sentence that begins with the operation
 */
public record UnusableGradient(String type, String name, String reason) {
  @Override
  public String toString() {
    return type + " '" + name + "' " + reason;
  }
}
