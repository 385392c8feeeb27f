package dev.adafactor.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The peers that are measured, as long as they do what they are told. */
final class Contenders implements AutoCloseable {
  private final PeerPrograms programs;
  private final Workload workload;
  private final Benchmark.Listener listener;
  private final Map<Peer, Contender> running = new LinkedHashMap<>();
  private final List<Report.LeftOut> leftOut = new ArrayList<>();

  Contenders(PeerPrograms programs, Workload workload, Benchmark.Listener listener) {
    this.programs = programs;
    this.workload = workload;
    this.listener = listener;
  }

  /** Makes a peer ready, or leaves it out. */
  void start(Peer peer) {
    try {
      running.put(peer, peer.start(programs, workload));
    } catch (IOException e) {
      leaveOut(peer, e);
    }
    listener.done();
  }

  /** Has each of them take its turn, and gives the milliseconds of each step. */
  Map<Peer, double[]> turn(int steps) {
    Map<Peer, double[]> times = new LinkedHashMap<>();
    for (Peer peer : List.copyOf(running.keySet())) {
      try {
        times.put(peer, running.get(peer).turn(steps));
      } catch (IOException e) {
        running.remove(peer).close();
        leaveOut(peer, e);
      }
      listener.done();
    }
    return times;
  }

  private void leaveOut(Peer peer, IOException reason) {
    Report.LeftOut left = new Report.LeftOut(peer, reason.getMessage());
    leftOut.add(left);
    listener.leftOut(left);
  }

  /** Of those that were not left out. */
  Map<Peer, Facts> facts() {
    Map<Peer, Facts> facts = new LinkedHashMap<>();
    running.forEach((peer, contender) -> facts.put(peer, contender.facts()));
    return facts;
  }

  List<Report.LeftOut> leftOut() {
    return List.copyOf(leftOut);
  }

  @Override
  public void close() {
    running.values().forEach(Contender::close);
  }
}
