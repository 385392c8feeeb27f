package dev.adafactor.cli;

import dev.adafactor.finetune.StopRequest;
import java.io.PrintWriter;
import org.jline.utils.Signals;

/**
 * Ctrl-C or SIGTERM while a job runs: the first signal asks the job to stop, the second one, of
 * either kind, ends the process at once. Where signals cannot be had, they do what they always do.
 */
final class Interruption implements AutoCloseable {

  private final StopRequest stop = new StopRequest();
  private final PrintWriter err;
  private final Object beforeInt;
  private final Object beforeTerm;
  private EndingSignal first = EndingSignal.INT;

  /** From now on. */
  Interruption(PrintWriter err) {
    this.err = err;
    this.beforeInt = register(EndingSignal.INT);
    this.beforeTerm = register(EndingSignal.TERM);
  }

  private Object register(EndingSignal signal) {
    return Signals.register(signal.name(), () -> interrupted(signal));
  }

  private synchronized void interrupted(EndingSignal signal) {
    if (stop.isStopped()) {
      AtExit.endBy(signal);
    }
    first = signal;
    stop.stop();
    err.println("Interrupted: ending after this step. Once more to leave at once.");
    err.flush();
  }

  StopRequest stop() {
    return stop;
  }

  /** Of a job that was interrupted. */
  synchronized int exitCode() {
    return first.exitCode();
  }

  @Override
  public void close() {
    Signals.unregister(EndingSignal.INT.name(), beforeInt);
    Signals.unregister(EndingSignal.TERM.name(), beforeTerm);
  }
}
