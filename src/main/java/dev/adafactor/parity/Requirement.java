package dev.adafactor.parity;

import dev.adafactor.Numerics;

/** When a computed element is good enough. */
public enum Requirement {
  /** It has the bits that tf_keras computed, or both are NaN. */
  SAME_BITS(0) {
    @Override
    boolean allows(boolean recordedIsFinite, double scaleUlps) {
      return false;
    }
  },

  /**
   * Where tf_keras has a finite number, and has not ruined the variable, it is away from it by at
   * most 8 units in the last place of the largest magnitude that the tensor has had, for each step
   * taken.
   */
  WITHIN_ROUNDING(8) {
    @Override
    boolean allows(boolean recordedIsFinite, double scaleUlps) {
      return !recordedIsFinite || scaleUlps <= mostScaleUlps();
    }
  };

  private final double mostScaleUlps;

  Requirement(double mostScaleUlps) {
    this.mostScaleUlps = mostScaleUlps;
  }

  /**
   * How far a finite element may be away, in units of the last place of the largest magnitude that
   * the tensor has had, for each step taken.
   */
  public double mostScaleUlps() {
    return mostScaleUlps;
  }

  /**
   * What can be asked of {@code numerics} on a processor: other processors than x86-64 have other
   * vector instructions, and their mathematical functions round in other ways.
   *
   * @param architecture as in the system property {@code os.arch}
   */
  public static Requirement of(Numerics numerics, String architecture) {
    boolean x86 = architecture.equals("amd64") || architecture.equals("x86_64");
    return numerics == Numerics.TF_KERAS && x86 ? SAME_BITS : WITHIN_ROUNDING;
  }

  /**
   * Whether a computed element may have other bits than the recorded one.
   *
   * @param recordedIsFinite whether tf_keras has a finite number
   * @param scaleUlps the distance in units of the last place of the largest magnitude that the
   *     tensor has had, for each step taken; infinite where it is not defined
   */
  abstract boolean allows(boolean recordedIsFinite, double scaleUlps);
}
