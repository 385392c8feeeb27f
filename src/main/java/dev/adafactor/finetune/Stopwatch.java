package dev.adafactor.finetune;

import dev.adafactor.finetune.FineTuningResult.Timings;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;

/** Tells how long each part of a job takes; starts when it is made. */
final class Stopwatch {

  /** A part of a job. */
  enum Part {
    LOAD,
    BUILD,
    TRAIN,
    EVALUATE,
    EXPORT
  }

  private final Map<Part, Duration> times = new EnumMap<>(Part.class);
  private long start = System.nanoTime();

  /** What went by since the last lap belongs to this part. */
  void lap(Part part) {
    long now = System.nanoTime();
    times.merge(part, Duration.ofNanos(now - start), Duration::plus);
    start = now;
  }

  Timings timings() {
    return new Timings(
        time(Part.LOAD),
        time(Part.BUILD),
        time(Part.TRAIN),
        time(Part.EVALUATE),
        time(Part.EXPORT));
  }

  private Duration time(Part part) {
    return times.getOrDefault(part, Duration.ZERO);
  }
}
