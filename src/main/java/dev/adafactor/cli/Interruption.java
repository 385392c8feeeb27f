package dev.adafactor.cli;

import dev.adafactor.finetune.StopRequest;
import java.io.PrintWriter;
import org.jline.utils.Signals;

/**
 * Ctrl-C while a job runs: the first one asks the job to stop, the second one ends the process at
 * once. Where signals cannot be had, Ctrl-C does what it always does.
 */
final class Interruption implements AutoCloseable {
  /** What shells report of a program that Ctrl-C ended. */
  static final int EXIT_CODE = 130;

  private static final String SIGNAL = "INT";

  private final StopRequest stop = new StopRequest();
  private final PrintWriter err;
  private final Object before;

  /** From now on. */
  Interruption(PrintWriter err) {
    this.err = err;
    this.before = Signals.register(SIGNAL, this::interrupted);
  }

  private synchronized void interrupted() {
    if (stop.isStopped()) {
      Runtime.getRuntime().halt(EXIT_CODE);
    }
    stop.stop();
    err.println("Interrupted: ending after this step. Once more to leave at once.");
    err.flush();
  }

  StopRequest stop() {
    return stop;
  }

  @Override
  public void close() {
    Signals.unregister(SIGNAL, before);
  }
}
