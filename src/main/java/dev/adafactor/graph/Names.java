package dev.adafactor.graph;

/** Names that TensorFlow admits for operations. */
public final class Names {

  private Names() {}

  /** The name with everything replaced that a single component of an operation's name forbids. */
  public static String sanitize(String name) {
    String sanitized = name.replaceAll("[^A-Za-z0-9_.\\-]", "_");
    return sanitized.isEmpty() || "_-".indexOf(sanitized.charAt(0)) >= 0
        ? "v" + sanitized
        : sanitized;
  }
}
