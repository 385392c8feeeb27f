package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.proto.GraphDef;

/**
 * A graph without function calls, unless it is to be used as it is.
 *
 * @param graphDef its nodes; of functions only those that were added are in its library
 * @param tensors from each tensor asked for, as it was named in the graph with calls, to the flat
 *     graph's tensor, {@code node:index} or {@code ^node}
 * @param randomness the node that all random numbers follow from, if there are any
 */
record FlatGraph(GraphDef graphDef, Map<String, String> tensors, Optional<String> randomness) {
  /** The part of a graph that some tensors need, calls included. */
  static FlatGraph asItIs(GraphDef graph, Collection<String> tensors) {
    Map<String, String> named = new LinkedHashMap<>();
    tensors.forEach(tensor -> named.put(tensor, tensor));
    FlatFunction needed = new FlatFunction(graph, List.of(), List.copyOf(named.keySet())).pruned();
    return new FlatGraph(needed.graphDef(), named, Optional.empty());
  }

  /**
   * The part of this graph that some tensors need.
   *
   * @param wanted some of the tensors that this graph knows, as they were named with calls
   */
  FlatGraph pruned(Collection<String> wanted) {
    Map<String, String> kept = new LinkedHashMap<>(tensors);
    kept.keySet().retainAll(wanted);
    List<String> roots = new ArrayList<>(kept.values());
    randomness.ifPresent(roots::add);
    GraphDef needed = new FlatFunction(graphDef, List.of(), roots).pruned().graphDef();
    return new FlatGraph(needed, kept, randomness);
  }
}
