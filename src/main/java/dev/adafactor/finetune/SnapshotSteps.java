package dev.adafactor.finetune;

import java.util.SortedSet;
import java.util.TreeSet;

/** After which steps the state of a job is written: the first ones, the last, and some between. */
final class SnapshotSteps {
  private static final int FIRST = 4;

  private SnapshotSteps() {}

  /**
   * Chooses the steps, counted from 1.
   *
   * @param total steps of the job
   * @param count how many to choose, 1 or more
   */
  static SortedSet<Long> of(long total, int count) {
    SortedSet<Long> steps = new TreeSet<>();
    int first = (int) Math.min(Math.min(FIRST, (count - 1) / 2), total);
    for (long step = 1; step <= first; step++) {
      steps.add(step);
    }
    int spread = count - first;
    for (int i = 1; i <= spread; i++) {
      steps.add(first + Math.round((double) (total - first) * i / spread));
    }
    steps.remove(0L);
    return steps;
  }
}
