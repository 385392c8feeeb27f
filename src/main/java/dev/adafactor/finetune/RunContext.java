package dev.adafactor.finetune;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;

/** What goes with one run of a job. */
record RunContext(StopRequest stop, List<TrainingListener> listeners, Stopwatch stopwatch) {

  /** The same with one more who hears of the job. */
  RunContext with(TrainingListener listener) {
    List<TrainingListener> all = new ArrayList<>(listeners);
    all.add(listener);
    return new RunContext(stop, all, stopwatch);
  }

  void tell(Consumer<TrainingListener> event) {
    listeners.forEach(event);
  }

  /**
   * To be called now and then before the first step.
   *
   * @throws CancellationException if the job is to stop: there is nothing to be kept yet
   */
  void requireWanted() {
    if (stop.isStopped()) {
      throw new CancellationException(
          "interrupted before the first step; nothing was trained or exported");
    }
  }
}
