package dev.adafactor.files;

import java.util.Optional;

/**
 * What Python stores a variable's value under: the path to the variable through the tree of
 * objects, and what of the variable it is.
 */
public final class VariableKey {
  /** The attribute of a variable that is stored. */
  public static final String ATTRIBUTE = "VARIABLE_VALUE";

  private static final String END = "/.ATTRIBUTES/" + ATTRIBUTE;

  private VariableKey() {}

  /**
   * The key of a variable's value.
   *
   * @param path steps from the root with slashes between
   */
  public static String of(String path) {
    return path + END;
  }

  /** The path to the variable that a key is of; empty if it is of something else. */
  public static Optional<String> path(String key) {
    return key.endsWith(END)
        ? Optional.of(key.substring(0, key.length() - END.length()))
        : Optional.empty();
  }

  /** The step of a path to an object that its parent holds by a name. */
  public static String step(String name) {
    return name.replace(".", "..").replace("/", ".S");
  }
}
