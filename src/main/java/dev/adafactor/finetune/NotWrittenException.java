package dev.adafactor.finetune;

import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A job is done, but its model or its last checkpoint could not be written: the disk is full, or
 * another job has written to the folder meanwhile.
 */
public final class NotWrittenException extends IOException {
  private static final long serialVersionUID = 1L;

  private final transient FineTuningResult result;

  /**
   * @param causes what could not be written, one or more
   */
  NotWrittenException(FineTuningResult result, List<Exception> causes) {
    super(
        causes.stream().map(Exception::getMessage).collect(Collectors.joining("; ")),
        causes.get(0));
    this.result = result;
  }

  /** What came of the job; it names no exported model where that could not be written. */
  public FineTuningResult result() {
    return result;
  }
}
