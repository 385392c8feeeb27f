package dev.adafactor.bench;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * What was measured of one optimizer.
 *
 * @param peer empty for this library's own
 * @param facts what is known besides the time of its steps
 * @param rounds one or more: milliseconds of each step of a round
 */
public record Run(Optional<Peer> peer, Facts facts, List<double[]> rounds) {

  /** Of a step, in milliseconds. */
  public Spread step() {
    return Spread.of(rounds.stream().flatMapToDouble(Arrays::stream).toArray());
  }

  /**
   * How many times a peer's time this run's is, round by round.
   *
   * @param peer with as many rounds
   */
  public Spread ratioTo(Run peer) {
    return Spread.of(
        IntStream.range(0, rounds.size())
            .mapToDouble(
                i -> Spread.of(rounds.get(i)).median() / Spread.of(peer.rounds.get(i)).median())
            .toArray());
  }
}
