package dev.adafactor.graph;

import java.util.regex.Pattern;

/** What an error says, in one line. */
public final class ErrorLine {
  /** What TensorFlow begins with where several operations have failed. */
  private static final Pattern HEADING =
      Pattern.compile("\\A(?:={5,}|\\d+ root error\\(s\\) found\\.)\\s+");

  /** Of an error in another process it names the process in a line before. */
  private static final Pattern PROCESS = Pattern.compile("(From /job:\\S+:)\\R");

  private ErrorLine() {}

  /** The first line of the message, and the process that it is from, if it is from another. */
  public static String of(Throwable e) {
    String message = e.getMessage() == null ? e.toString() : e.getMessage();
    String errors = HEADING.matcher(message.strip()).replaceFirst("");
    return PROCESS.matcher(errors).replaceAll("$1 ").lines().findFirst().orElse("");
  }
}
