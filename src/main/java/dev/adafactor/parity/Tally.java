package dev.adafactor.parity;

/**
 * How far pairs of elements are apart.
 *
 * @param elements how many pairs were compared
 * @param notFinite in how many tf_keras has no finite number, or has ruined the variable
 * @param different in how many the bits differ; any two NaN count as the same
 * @param otherNaN how many pairs of NaN have different bits
 * @param ulps the largest distance in units of the last place of the element itself
 * @param relative the largest distance relative to the largest magnitude that the tensor has had
 * @param scaleUlps the largest distance in units of the last place of the largest magnitude that
 *     the tensor has had, for each step taken
 */
public record Tally(
    long elements,
    long notFinite,
    long different,
    long otherNaN,
    long ulps,
    double relative,
    double scaleUlps) {

  /** Of no elements. */
  public static final Tally NOTHING = new Tally(0, 0, 0, 0, 0, 0, 0);

  /** The tally of both. */
  public Tally plus(Tally other) {
    return new Tally(
        elements + other.elements,
        notFinite + other.notFinite,
        different + other.different,
        otherNaN + other.otherNaN,
        Math.max(ulps, other.ulps),
        Math.max(relative, other.relative),
        Math.max(scaleUlps, other.scaleUlps));
  }
}
