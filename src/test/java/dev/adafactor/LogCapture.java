package dev.adafactor;

import java.text.MessageFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** What a class logs while this is open; it goes nowhere else. */
public final class LogCapture extends Handler implements AutoCloseable {

  private final Logger logger;
  private final List<String> messages = new ArrayList<>();

  public LogCapture(Class<?> source) {
    logger = Logger.getLogger(source.getName());
    logger.addHandler(this);
    logger.setUseParentHandlers(false);
  }

  /** Level and message of each record. */
  public List<String> messages() {
    return List.copyOf(messages);
  }

  @Override
  public void publish(LogRecord entry) {
    messages.add(
        entry.getLevel() + " " + MessageFormat.format(entry.getMessage(), entry.getParameters()));
  }

  @Override
  public void flush() {}

  @Override
  public void close() {
    logger.removeHandler(this);
    logger.setUseParentHandlers(true);
  }
}
