package dev.adafactor.parity;

import java.util.ArrayList;
import java.util.List;

/**
 * Steps of a run that are shown as one point: their largest differences, and the values after the
 * last of them.
 *
 * @param first counted from 0
 * @param last counted from 0
 */
record Span(int first, int last) {
  /** More points than this cannot be told apart. */
  private static final int MOST = 200;

  /** All steps of a run, each on its own unless they are too many. */
  static List<Span> of(int steps) {
    int length = (steps - 1) / MOST + 1;
    List<Span> spans = new ArrayList<>();
    for (int first = 0; first < steps; first += length) {
      spans.add(new Span(first, Math.min(first + length, steps) - 1));
    }
    return spans;
  }
}
