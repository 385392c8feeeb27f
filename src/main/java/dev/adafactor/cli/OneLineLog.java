package dev.adafactor.cli;

import java.util.Locale;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.StreamHandler;

/** What the library has to remark, in a line of standard error each. */
final class OneLineLog extends Formatter {
  private OneLineLog() {}

  /** Takes the place of java.util.logging's own handlers, unless the user has configured them. */
  static void install() {
    if (System.getProperty("java.util.logging.config.file") != null
        || System.getProperty("java.util.logging.config.class") != null) {
      return;
    }
    Logger root = Logger.getLogger("");
    for (Handler handler : root.getHandlers()) {
      root.removeHandler(handler);
    }
    root.addHandler(
        new StreamHandler(System.err, new OneLineLog()) {
          @Override
          public synchronized void publish(LogRecord event) {
            super.publish(event);
            flush();
          }
        });
  }

  @Override
  public String format(LogRecord event) {
    return "adafactor: %s: %s%n"
        .formatted(
            event.getLevel().getName().toLowerCase(Locale.ROOT),
            Printable.of(formatMessage(event).replaceAll("\\R", " ")));
  }
}
