package dev.adafactor.graph;

import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Function;

/** What can be reached in a graph. Without recursion: graphs are deeper than stacks. */
public final class Reachable {

  private Reachable() {}

  /**
   * Goes through a graph, breadth first.
   *
   * @param neighbours where one gets from a node; asked for once for each
   * @return the nodes that were begun at and all others, in the order in which they are met
   */
  public static <N> Set<N> from(
      Collection<? extends N> begin, Function<N, ? extends Collection<? extends N>> neighbours) {
    Set<N> met = new LinkedHashSet<>(begin);
    Deque<N> open = new ArrayDeque<>(met);
    while (!open.isEmpty()) {
      for (N next : neighbours.apply(open.remove())) {
        if (met.add(next)) {
          open.add(next);
        }
      }
    }
    return met;
  }
}
