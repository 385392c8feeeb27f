package dev.adafactor.parity;

/**
 * A pair of elements that are not the same bits.
 *
 * @param step counted from 0; of final values the last one
 * @param quantity what differs
 * @param variable whose it is; empty for what belongs to no variable
 * @param element its index in C order
 * @param recorded the value of tf_keras
 * @param computed the value computed here
 * @param ulps how many neighbours lie between the two
 */
public record Difference(
    int step,
    Quantity quantity,
    String variable,
    int element,
    double recorded,
    double computed,
    long ulps) {

  /** One line for people. */
  @Override
  public String toString() {
    String place = variable.isEmpty() ? "" : " of " + variable + "[" + element + "]";
    boolean numbers = Double.isFinite(recorded) && Double.isFinite(computed);
    String distance = numbers && ulps < Long.MAX_VALUE ? " (" + ulps + " ulp)" : "";
    return String.format(
        "step %d, %s%s: %s instead of %s%s",
        step, quantity.label(), place, computed, recorded, distance);
  }
}
