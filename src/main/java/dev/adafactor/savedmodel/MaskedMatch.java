package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.GraphMatch.Pair;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tensorflow.proto.NodeDef;

/**
 * Whether tensors are the same computation, but for masks that the first has.
 *
 * <p>tf_keras hangs a mask onto the tensor that a layer returns. An attention looks for it there,
 * and finds it when a signature is traced; but not when its own function is, which takes plain
 * tensors. So it is with all that follows a {@code Masking} layer.
 *
 * <p>What can only be a mask is decided by {@link MaskTerm} and {@link MaskedLoop}; all else that
 * is in one computation alone is a difference. A signature of one's own that masks on purpose what
 * the model's call does not mask looks the same as one that tf_keras traced, and is taken for that.
 *
 * @param placeholders which placeholder of the first each placeholder of the second is
 * @param same the tensors that come from the same operation, or are the same numbers
 * @param additions the masks that the first adds
 * @param loops the loops that have a mask in the first
 * @param different the tensors that differ otherwise
 */
record MaskedMatch(
    Map<String, String> placeholders,
    Set<Pair> same,
    Set<Addition> additions,
    Set<MaskedLoop> loops,
    List<Pair> different) {
  /** How a mask is added: to scores as numbers, to another mask as a condition. */
  private static final Set<String> SUMS = Set.of("Add", "AddV2", "LogicalAnd");

  private static final Set<String> LOOPS = Set.of("While", "StatelessWhile");

  /**
   * A mask that the first computation adds to scores, or to another mask.
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
    Search search = new Search(graph, new HashSet<>(), bound);
    search.match(first, second);
    return new MaskedMatch(
        search.placeholders, search.same, search.additions, search.loops, search.different);
  }

  /** Whether nothing differs but for masks. */
  boolean isSame() {
    return different.isEmpty();
  }

  /** Whether the first has no mask that the second has not. */
  boolean hasAllMasks() {
    return additions.isEmpty() && loops.isEmpty();
  }

  private static final class Search {
    private final GraphMatch graph;

    /** Loops that are not the same, each with the placeholders that had been found before. */
    private final Set<Failure> failures;

    /** Loops that are the same, with what was found on the way from there. */
    private final Map<Pair, Search> known = new HashMap<>();

    private final Set<Pair> same = new LinkedHashSet<>();
    private final Set<Addition> additions = new LinkedHashSet<>();
    private final Set<MaskedLoop> loops = new LinkedHashSet<>();
    private final List<Pair> different = new ArrayList<>();
    private Map<String, String> placeholders;

    private record Failure(Pair loops, Map<String, String> placeholders) {}

    Search(GraphMatch graph, Set<Failure> failures, Map<String, String> placeholders) {
      this.graph = graph;
      this.failures = failures;
      this.placeholders = Map.copyOf(placeholders);
    }

    /** A search that starts from what is known by now, and that may fail. */
    private Search trial() {
      Search trial = new Search(graph, failures, placeholders);
      trial.known.putAll(known);
      return trial;
    }

    void match(String first, String second) {
      Deque<Pair> open = new ArrayDeque<>();
      open.add(new Pair(first, second));
      while (!open.isEmpty()) {
        Pair next = open.remove();
        GraphMatch.Comparison comparison = graph.match(next.first(), next.second(), placeholders);
        placeholders = Map.copyOf(comparison.placeholders());
        same.addAll(comparison.same());
        for (Pair pair : comparison.different()) {
          Optional<Addition> addition = addition(pair);
          if (addition.isPresent()) {
            if (additions.add(addition.get())) {
              String scores = graph.node(pair.first()).getInput(addition.get().scores);
              open.add(new Pair(scores, pair.second()));
            }
          } else if (!isOfMaskedLoop(pair)) {
            different.add(pair);
          }
        }
      }
    }

    private Optional<Addition> addition(Pair pair) {
      NodeDef sum = graph.node(pair.first());
      List<String> inputs = Tensors.inputs(sum);
      if (!SUMS.contains(sum.getOp()) || inputs.size() != 2) {
        return Optional.empty();
      }
      List<Addition> possible =
          IntStream.range(0, 2)
              .filter(i -> isLike(inputs.get(i), pair.second()))
              .filter(i -> isMask(sum, inputs.get(1 - i)))
              .mapToObj(i -> new Addition(pair.first(), i, pair.second()))
              .toList();
      return possible.size() == 1 ? Optional.of(possible.get(0)) : Optional.empty();
    }

    private boolean isLike(String first, String second) {
      String source = graph.source(first);
      return Tensors.index(source) == Tensors.index(second)
          && graph.isSameOperation(graph.node(source), graph.node(second));
    }

    private boolean isMask(NodeDef sum, String term) {
      MaskTerm terms = new MaskTerm(graph);
      return sum.getOp().equals("LogicalAnd")
          ? terms.isCondition(term)
          : terms.isOfConditions(term);
    }

    /** Whether two tensors are the same variable after a loop. */
    private boolean isOfMaskedLoop(Pair pair) {
      NodeDef first = graph.node(pair.first());
      NodeDef second = graph.node(pair.second());
      if (!LOOPS.contains(first.getOp()) || !LOOPS.contains(second.getOp())) {
        return false;
      }
      Pair nodes = new Pair(first.getName(), second.getName());
      Optional<Search> found = Optional.ofNullable(known.get(nodes));
      if (found.isEmpty()) {
        Failure failure = new Failure(nodes, placeholders);
        if (failures.contains(failure)) {
          return false;
        }
        found = loop(first, second);
        if (found.isEmpty()) {
          failures.add(failure);
          return false;
        }
        known.put(nodes, found.get());
      }
      return add(found.get())
          && loops.stream()
              .filter(loop -> loop.masked().equals(first.getName()))
              .filter(loop -> loop.unmasked().equals(second.getName()))
              .map(MaskedLoop::places)
              .anyMatch(
                  places ->
                      places.get(Tensors.index(pair.second())) == Tensors.index(pair.first()));
    }

    /** Adds what another search found; false if a placeholder would be two. */
    private boolean add(Search other) {
      Map<String, String> all = new HashMap<>(placeholders);
      all.putAll(other.placeholders);
      if (!all.entrySet().containsAll(placeholders.entrySet())) {
        return false;
      }
      placeholders = Map.copyOf(all);
      known.putAll(other.known);
      same.addAll(other.same);
      additions.addAll(other.additions);
      loops.addAll(other.loops);
      return true;
    }

    /** Finds the variables of the second loop, in their order, among those of the first. */
    private Optional<Search> loop(NodeDef first, NodeDef second) {
      List<String> masked = Tensors.inputs(first);
      List<String> unmasked = Tensors.inputs(second);
      Search all = trial();
      List<Integer> places = new ArrayList<>();
      for (int i = 0; i < masked.size() && places.size() < unmasked.size(); i++) {
        Search one = all.trial();
        one.match(masked.get(i), unmasked.get(places.size()));
        if (one.different.isEmpty() && all.add(one)) {
          places.add(i);
        }
      }
      MaskedLoop loop = new MaskedLoop(first.getName(), second.getName(), places);
      if (places.size() < unmasked.size()
          || masked.size() == unmasked.size()
          || !loop.isSame(graph)) {
        return Optional.empty();
      }
      all.loops.add(loop);
      return Optional.of(all);
    }
  }
}
