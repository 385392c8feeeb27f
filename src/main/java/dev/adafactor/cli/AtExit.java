package dev.adafactor.cli;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jline.utils.Signals;

/** What is to be done before the process ends, where a signal ends it in the midst of its work. */
final class AtExit {
  private static final Set<Registration> REGISTERED = new LinkedHashSet<>();

  static {
    Runtime.getRuntime().addShutdownHook(new Thread(AtExit::runAll, "at exit"));
  }

  /** One thing to be done, as long as this is not closed. */
  static final class Registration implements AutoCloseable {
    private final Runnable action;

    private Registration(Runnable action) {
      this.action = action;
    }

    @Override
    public void close() {
      synchronized (REGISTERED) {
        REGISTERED.remove(this);
      }
    }
  }

  private AtExit() {}

  /**
   * Has something done before the process ends.
   *
   * @param action must be short; any thread runs it
   */
  static Registration register(Runnable action) {
    Registration registration = new Registration(action);
    synchronized (REGISTERED) {
      REGISTERED.add(registration);
    }
    return registration;
  }

  /** Has {@link #endBy} answer Ctrl-C and SIGTERM, as long as nothing else does. */
  static void onSignals() {
    for (EndingSignal signal : EndingSignal.values()) {
      Signals.register(signal.name(), () -> endBy(signal));
    }
  }

  /** Ends the process for a signal, without waiting for any of its threads. */
  static void endBy(EndingSignal signal) {
    try {
      runAll();
    } finally {
      NativeEnvironment.exit(signal.exitCode());
    }
  }

  private static void runAll() {
    List<Registration> all;
    synchronized (REGISTERED) {
      all = List.copyOf(REGISTERED);
    }
    all.forEach(each -> each.action.run());
  }
}
