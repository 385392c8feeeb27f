package dev.adafactor.bench;

import dev.adafactor.mesh.Mesh;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Steps of this library's optimizer and of its peers. They take turns, some steps each, so that
 * whatever else the machine does concerns all of them.
 *
 * @param workload what is updated
 * @param variant how this library's optimizer is set up
 * @param peers to be measured beside it
 * @param python the interpreter for those that need one
 * @param rounds how often each has its turn
 * @param steps of a turn, but for those that do not count
 */
public record Benchmark(
    Workload workload,
    Variant variant,
    List<Peer> peers,
    Optional<Path> python,
    int rounds,
    int steps) {

  /** Told of what is done meanwhile, which takes minutes with peers. */
  public interface Listener {

    /** An optimizer has been made ready, or has had its turn. */
    void done();

    /** A peer is measured no more. */
    void leftOut(Report.LeftOut peer);
  }

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if there are no rounds or steps
   */
  public Benchmark {
    peers = List.copyOf(peers);
    if (rounds < 1) {
      throw new IllegalArgumentException("rounds: %d is no number of rounds".formatted(rounds));
    }
    if (steps < 1) {
      throw new IllegalArgumentException("steps: %d is no number of steps".formatted(steps));
    }
  }

  /** How often a listener is told that something is done, if no peer is left out. */
  public int turns() {
    return (1 + peers.size()) * (2 + rounds);
  }

  /**
   * Measures. A peer that cannot be had is left out.
   *
   * @throws IOException if there is no room for the peers' programs
   */
  public Report run(Listener listener) throws IOException {
    Contenders peers = new Contenders(new PeerPrograms(python), workload, listener);
    try (peers;
        GraphContender own = GraphContender.adafactor(workload, variant)) {
      listener.done();
      this.peers.forEach(peers::start);
      // The first turn warms up: pools of memory and threads.
      own.turn(steps);
      listener.done();
      peers.turn(steps);
      List<double[]> ownTimes = new ArrayList<>();
      Map<Peer, List<double[]>> times = new LinkedHashMap<>();
      for (int round = 0; round < rounds; round++) {
        ownTimes.add(own.turn(steps));
        listener.done();
        peers
            .turn(steps)
            .forEach((peer, turn) -> times.computeIfAbsent(peer, p -> new ArrayList<>()).add(turn));
      }
      List<Run> runs = new ArrayList<>();
      peers
          .facts()
          .forEach((peer, facts) -> runs.add(new Run(Optional.of(peer), facts, times.get(peer))));
      return new Report(
          workload,
          variant,
          new Run(Optional.empty(), own.facts(), ownTimes),
          runs,
          peers.leftOut(),
          own.profile(),
          variant.mesh().map(mesh -> own.distribution(mesh, computed(mesh))));
    }
  }

  private Traffic computed(Mesh mesh) {
    return TrafficModel.of(mesh, workload.type(), workload.shapes().parameters());
  }
}
