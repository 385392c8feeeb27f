package dev.adafactor.bench;

import java.util.List;
import java.util.Optional;

/**
 * What a benchmark has measured.
 *
 * @param own this library's optimizer
 * @param peers that were measured beside it
 * @param leftOut peers that were not
 * @param profile of a step of this library's optimizer
 * @param distribution of such a step over the devices of the mesh, if there is one
 */
public record Report(
    Workload workload,
    Variant variant,
    Run own,
    List<Run> peers,
    List<LeftOut> leftOut,
    StepProfile profile,
    Optional<Distribution> distribution) {

  /** A peer that could not be had, and why. */
  public record LeftOut(Peer peer, String reason) {}
}
