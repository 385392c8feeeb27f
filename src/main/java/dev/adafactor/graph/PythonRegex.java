package dev.adafactor.graph;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Regular expressions as Python writes them. */
public final class PythonRegex {
  private PythonRegex() {}

  /**
   * Compiles an expression of Java's kind, or one with Python's spelling of named groups and of the
   * end of the text.
   *
   * @param argument what a user knows it by, for the message
   * @throws IllegalArgumentException if it is none
   */
  public static Pattern compile(String argument, String regex) {
    try {
      String java = regex.replace("(?P<", "(?<");
      return Pattern.compile(java.replaceAll("(?<!\\\\)((?:\\\\{2})*)\\\\Z", "$1\\\\z"));
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException(
          "%s: '%s' is not a regular expression: %s".formatted(argument, regex, e.getDescription()),
          e);
    }
  }
}
