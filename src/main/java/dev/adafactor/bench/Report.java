package dev.adafactor.bench;

import java.util.List;

/**
 * What a benchmark has measured.
 *
 * @param own this library's optimizer
 * @param peers that were measured beside it
 * @param leftOut peers that were not
 * @param profile of a step of this library's optimizer
 */
public record Report(
    Workload workload,
    Variant variant,
    Run own,
    List<Run> peers,
    List<LeftOut> leftOut,
    StepProfile profile) {

  /** A peer that could not be had, and why. */
  public record LeftOut(Peer peer, String reason) {}
}
