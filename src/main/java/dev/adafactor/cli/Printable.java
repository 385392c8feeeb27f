package dev.adafactor.cli;

/** Names and messages from files of others, as a terminal can show them. */
final class Printable {
  private static final int MOST_CHARACTERS = 2000;

  private Printable() {}

  /** Text without control characters, some of which would steer the terminal; cut if endless. */
  static String of(String text) {
    String visible = text.replaceAll("\\p{Cntrl}", "?");
    return visible.length() <= MOST_CHARACTERS
        ? visible
        : visible.substring(0, MOST_CHARACTERS) + "…";
  }
}
