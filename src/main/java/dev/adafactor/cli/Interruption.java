package dev.adafactor.cli;

import dev.adafactor.finetune.StopRequest;
import java.io.PrintWriter;
import org.jline.utils.Signals;

/**
 * Ctrl-C or SIGTERM while a job runs: the first signal asks the job to stop, the second one, of
 * either kind, ends the process at once. Where signals cannot be had, they do what they always do.
 */
final class Interruption implements AutoCloseable {

  /** The signals, and what shells report of a program that they ended. */
  private enum Kind {
    INT(130),
    TERM(143);

    private final int exitCode;

    Kind(int exitCode) {
      this.exitCode = exitCode;
    }
  }

  private final StopRequest stop = new StopRequest();
  private final PrintWriter err;
  private final Object beforeInt;
  private final Object beforeTerm;
  private Kind first = Kind.INT;

  /** From now on. */
  Interruption(PrintWriter err) {
    this.err = err;
    this.beforeInt = register(Kind.INT);
    this.beforeTerm = register(Kind.TERM);
  }

  private Object register(Kind kind) {
    return Signals.register(kind.name(), () -> interrupted(kind));
  }

  private synchronized void interrupted(Kind kind) {
    if (stop.isStopped()) {
      AtExit.halt(kind.exitCode);
    }
    first = kind;
    stop.stop();
    err.println("Interrupted: ending after this step. Once more to leave at once.");
    err.flush();
  }

  StopRequest stop() {
    return stop;
  }

  /** Of a job that was interrupted. */
  synchronized int exitCode() {
    return first.exitCode;
  }

  @Override
  public void close() {
    Signals.unregister(Kind.INT.name(), beforeInt);
    Signals.unregister(Kind.TERM.name(), beforeTerm);
  }
}
