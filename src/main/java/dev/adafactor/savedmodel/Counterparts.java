package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.GraphMatch.Pair;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.NodeDef;

/**
 * What is what in two traces of the same Python code, the first for inference.
 *
 * <p>Walks both from their results to the inputs. Where the second has operations on the way that
 * the first has not, as those of a dropout, it goes on behind them at the operation of the same
 * type and name. What the second computes in another way altogether has no counterpart.
 */
final class Counterparts {
  private final GraphMatch graph;
  private final Map<String, Set<String>> tensors = new HashMap<>();
  private final Map<String, Set<String>> nodes = new HashMap<>();

  private Counterparts(GraphMatch graph) {
    this.graph = graph;
  }

  /**
   * Looks at two traces.
   *
   * @param graph the graph with both
   * @param results the results of the first, and those of the second
   */
  static Counterparts of(GraphMatch graph, Set<Pair> results) {
    Counterparts counterparts = new Counterparts(graph);
    counterparts.walk(results);
    return counterparts;
  }

  /** All that the second uses where the first uses a tensor. */
  Set<String> of(String tensor) {
    return tensors.getOrDefault(tensor, Set.of());
  }

  /** The node that is a node of the first; empty if there is none, or several are. */
  Optional<NodeDef> ofNode(String node) {
    Set<String> found = nodes.getOrDefault(node, Set.of());
    return found.size() == 1 ? Optional.of(graph.node(found.iterator().next())) : Optional.empty();
  }

  private void walk(Set<Pair> results) {
    Set<Pair> met = new HashSet<>();
    Deque<Pair> open = new ArrayDeque<>(results);
    while (!open.isEmpty()) {
      Pair next = open.remove();
      Pair pair = new Pair(graph.source(next.first()), graph.source(next.second()));
      if (!met.add(pair)) {
        continue;
      }
      tensors.computeIfAbsent(pair.first(), key -> new LinkedHashSet<>()).add(pair.second());
      NodeDef first = graph.node(pair.first());
      NodeDef second = graph.node(pair.second());
      int index = Tensors.index(pair.first());
      if (index == Tensors.index(pair.second()) && isSame(first, second)) {
        nodes.computeIfAbsent(first.getName(), key -> new LinkedHashSet<>()).add(second.getName());
        for (int i = 0; i < Tensors.inputs(first).size(); i++) {
          open.add(new Pair(first.getInput(i), second.getInput(i)));
        }
      } else {
        behind(first, second)
            .ifPresent(node -> open.add(new Pair(pair.first(), node.getName() + ":" + index)));
      }
    }
  }

  /** The nearest node before the second that is the first. */
  private Optional<NodeDef> behind(NodeDef first, NodeDef second) {
    Set<String> met = new HashSet<>();
    Deque<NodeDef> open = new ArrayDeque<>();
    open.add(second);
    while (!open.isEmpty()) {
      NodeDef node = open.remove();
      if (isSame(first, node)) {
        return Optional.of(node);
      }
      for (String input : Tensors.inputs(node)) {
        if (met.add(Tensors.node(input))) {
          open.add(graph.node(input));
        }
      }
    }
    return Optional.empty();
  }

  private static boolean isSame(NodeDef first, NodeDef second) {
    return first.getOp().equals(second.getOp())
        && Tensors.inputs(first).size() == Tensors.inputs(second).size()
        && (first.getName().equals(second.getName())
            || withinCall(first.getName()).equals(withinCall(second.getName())));
  }

  /** A name without that of the call that it is in; what draws numbers is called as stateful. */
  private static String withinCall(String name) {
    return name.substring(name.indexOf('/') + 1)
        .replace("StatefulPartitionedCall", "PartitionedCall");
  }
}
