package dev.adafactor.cli;

import java.util.List;

/** Arguments as they are typed into a shell. */
final class ShellLine {
  private static final int INDENT = 4;

  private ShellLine() {}

  static String quoted(String argument) {
    return argument.matches("[\\w./=:,+-]+")
        ? argument
        : "'" + argument.replace("'", "'\\''") + "'";
  }

  /**
   * A command over several lines.
   *
   * @param start what it begins with
   * @param options what follows, each an option with its value
   * @param width the most characters of a line, if the options fit
   */
  static String wrapped(String start, List<List<String>> options, int width) {
    StringBuilder text = new StringBuilder(start);
    int column = start.length();
    for (List<String> option : options) {
      String words = String.join(" ", option.stream().map(ShellLine::quoted).toList());
      if (column + 1 + words.length() + 2 > width) {
        text.append(" \\\n").append(" ".repeat(INDENT)).append(words);
        column = INDENT + words.length();
      } else {
        text.append(' ').append(words);
        column += 1 + words.length();
      }
    }
    return text.toString();
  }
}
