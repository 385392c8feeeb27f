package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.GraphMatch.Pair;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tensorflow.proto.NodeDef;

/**
 * Whether tensors are the same computation, but for masks that the first adds to scores.
 *
 * <p>tf_keras hangs a mask onto the tensor that a layer returns. An attention looks for it there,
 * and finds it when a signature is traced; but not when its own function is, which takes plain
 * tensors.
 *
 * @param placeholders which placeholder of the first each placeholder of the second is
 * @param same the tensors that come from the same operation, or are the same numbers
 * @param additions what the first adds
 * @param different those that differ otherwise
 */
record MaskedMatch(
    Map<String, String> placeholders,
    Set<Pair> same,
    Set<Addition> additions,
    List<Pair> different) {
  /** How a mask is added: to scores as a large negative number, to another mask as a condition. */
  private static final Set<String> SUMS = Set.of("Add", "AddV2", "LogicalAnd");

  /**
   * A mask that the first computation adds to scores.
   *
   * @param sum the sum
   * @param scores which of the sum's inputs is what the second has in place of the sum, 0 or 1
   * @param unmasked the second's tensor
   */
  record Addition(String sum, int scores, String unmasked) {
    int mask() {
      return 1 - scores;
    }
  }

  /**
   * Compares the computations of two tensors.
   *
   * @param graph the graph with both
   * @param first a tensor
   * @param second a tensor that is computed from placeholders of its own
   * @param bound which placeholder of the first each placeholder of the second must be
   */
  static MaskedMatch of(GraphMatch graph, String first, String second, Map<String, String> bound) {
    Map<String, String> placeholders = bound;
    Set<Pair> same = new LinkedHashSet<>();
    Set<Addition> additions = new LinkedHashSet<>();
    List<Pair> different = new ArrayList<>();
    Deque<Pair> open = new ArrayDeque<>();
    open.add(new Pair(first, second));
    while (!open.isEmpty()) {
      Pair next = open.remove();
      GraphMatch.Comparison comparison = graph.match(next.first(), next.second(), placeholders);
      placeholders = comparison.placeholders();
      same.addAll(comparison.same());
      for (Pair pair : comparison.different()) {
        Optional<Addition> addition = addition(graph, pair);
        if (addition.isEmpty()) {
          different.add(pair);
        } else if (additions.add(addition.get())) {
          String scores = graph.node(pair.first()).getInput(addition.get().scores);
          open.add(new Pair(scores, pair.second()));
        }
      }
    }
    return new MaskedMatch(placeholders, same, additions, different);
  }

  private static Optional<Addition> addition(GraphMatch graph, Pair pair) {
    NodeDef sum = graph.node(pair.first());
    List<String> inputs = Tensors.inputs(sum);
    if (!SUMS.contains(sum.getOp()) || inputs.size() != 2) {
      return Optional.empty();
    }
    List<Addition> possible =
        IntStream.range(0, 2)
            .filter(i -> isLike(graph, inputs.get(i), pair.second()))
            .mapToObj(i -> new Addition(pair.first(), i, pair.second()))
            .toList();
    return possible.size() == 1 ? Optional.of(possible.get(0)) : Optional.empty();
  }

  private static boolean isLike(GraphMatch graph, String first, String second) {
    String source = graph.source(first);
    return Tensors.index(source) == Tensors.index(second)
        && graph.isSameOperation(graph.node(source), graph.node(second));
  }

  /** Whether nothing differs but for masks. */
  boolean isSame() {
    return different.isEmpty();
  }

  /** Whether the first adds nothing that the second does not. */
  boolean hasAllMasks() {
    return additions.isEmpty();
  }
}
