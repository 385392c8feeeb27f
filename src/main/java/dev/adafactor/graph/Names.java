package dev.adafactor.graph;

import java.util.regex.Pattern;

/** Names that TensorFlow admits for operations. */
public final class Names {

  private static final Pattern VALID =
      Pattern.compile("[A-Za-z0-9.][A-Za-z0-9_./\\-]*(>[A-Za-z0-9.][A-Za-z0-9_./\\-]*)*");

  private Names() {}

  /**
   * Whether an operation can have the name, slashes and all. Of one with another name TensorFlow
   * complains when the graph is run, whatever is run of it.
   */
  public static boolean isValid(String name) {
    return VALID.matcher(name).matches();
  }

  /** The name with everything replaced that a single component of an operation's name forbids. */
  public static String sanitize(String name) {
    String sanitized = name.replaceAll("[^A-Za-z0-9_.\\-]", "_");
    return sanitized.isEmpty() || "_-".indexOf(sanitized.charAt(0)) >= 0
        ? "v" + sanitized
        : sanitized;
  }
}
