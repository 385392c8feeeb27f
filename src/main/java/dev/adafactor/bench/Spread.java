package dev.adafactor.bench;

import java.util.Arrays;

/** How some numbers are spread. Between two of them quartiles are interpolated linearly. */
public record Spread(
    double least, double lowerQuartile, double median, double upperQuartile, double largest) {

  /**
   * Of numbers in any order.
   *
   * @param numbers one or more
   */
  static Spread of(double... numbers) {
    double[] sorted = numbers.clone();
    Arrays.sort(sorted);
    return new Spread(
        sorted[0], at(sorted, 0.25), at(sorted, 0.5), at(sorted, 0.75), sorted[sorted.length - 1]);
  }

  private static double at(double[] sorted, double part) {
    double place = part * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }
}
