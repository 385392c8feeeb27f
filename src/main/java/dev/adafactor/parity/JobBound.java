package dev.adafactor.parity;

/**
 * When a job done here is the same as that done by tf_keras, though both round in their own ways.
 *
 * <p>What rounding makes of a job depends on the job: a gradient may be nothing but rounding, and
 * after many steps any two runs part. So where a tensor parts by more than a fixed part of its way,
 * it is compared with how far tf_keras parts from itself where its variables are disturbed, before
 * the first step, by as much as rounding might.
 */
public final class JobBound {
  /** Of the way that a tensor went. */
  public static final double OF_WAY = 0.01;

  /** Of the largest loss so far. */
  public static final double OF_LOSS = 1e-4;

  /** How many times as far as from itself tf_keras may be. */
  public static final double OF_NOISE = 10;

  /** What is a rounding of the largest element is none of the way. */
  private static final double ULPS_OF_SCALE = 8;

  private JobBound() {}

  /** Whether a tensor is the same but for rounding, whatever the job. */
  static boolean allows(Deviation deviation) {
    if (deviation.tally().different() == 0) {
      return true;
    }
    return switch (deviation.item().part()) {
      case ITERATIONS -> false;
      case LEARNING_RATE -> deviation.tally().scaleUlps() <= ULPS_OF_SCALE;
      case VARIABLE, AVERAGE, R, C, V ->
          deviation.tally().scaleUlps() <= ULPS_OF_SCALE || deviation.ofWay() <= OF_WAY;
    };
  }

  /**
   * Whether a tensor is as far from tf_keras's as that may be from itself.
   *
   * @param noise the Euclidean distance of tf_keras from itself
   */
  static boolean allows(Deviation deviation, double noise) {
    return deviation.apart() <= OF_NOISE * noise;
  }

  /**
   * Whether a loss is the same but for rounding.
   *
   * @param scale the largest loss so far
   */
  static boolean allowsLoss(double computed, double recorded, double scale) {
    return Math.abs(computed - recorded) <= OF_LOSS * scale;
  }
}
