package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.GraphMatch.Bodies;
import dev.adafactor.savedmodel.GraphMatch.Comparison;
import dev.adafactor.savedmodel.GraphMatch.Pair;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

/**
 * A loop that has further variables in the first computation, of which a mask is one.
 *
 * @param masked the first's node
 * @param unmasked the second's node
 * @param places which of the first's variables each of the second's variables is
 */
record MaskedLoop(String masked, String unmasked, List<Integer> places) {
  private static final Set<String> SELECTIONS = Set.of("Select", "SelectV2");

  MaskedLoop {
    places = List.copyOf(places);
  }

  /**
   * Whether both loops do the same but for the mask.
   *
   * <p>That is what tf_keras's recurrent layers make of a mask: each step takes its element from a
   * list of booleans, and where that is false, states stay what they were, and an output is that of
   * the step before, or zero.
   *
   * @param graph the graph with both loops
   */
  boolean isSame(GraphMatch graph) {
    NodeDef first = graph.node(masked);
    NodeDef second = graph.node(unmasked);
    for (String function : List.of("cond", "body")) {
      if (!first.getAttrOrDefault(function, AttrValue.getDefaultInstance()).hasFunc()
          || !second.getAttrOrDefault(function, AttrValue.getDefaultInstance()).hasFunc()) {
        return false;
      }
    }
    return new Comparing(graph, first, second, "cond").hasSameCondition()
        && new Comparing(graph, first, second, "body").hasSameStep();
  }

  /** The condition of both loops, or a step of both. */
  private final class Comparing {
    private final GraphMatch graph;
    private final List<String> initial;
    private final Bodies bodies;
    private final Map<String, String> bound = new HashMap<>();

    Comparing(GraphMatch graph, NodeDef first, NodeDef second, String function) {
      this.graph = graph;
      this.initial = Tensors.inputs(first);
      this.bodies =
          graph.bodies(
              first.getAttrOrThrow(function).getFunc(), second.getAttrOrThrow(function).getFunc());
    }

    /** Says which variables are the same; false if the functions do not have them. */
    private boolean bind() {
      List<String> second = bodies.second().arguments();
      if (bodies.first().arguments().size() != initial.size() || second.size() != places.size()) {
        return false;
      }
      for (int i = 0; i < second.size(); i++) {
        bound.put(second.get(i), bodies.first().arguments().get(places.get(i)));
      }
      return true;
    }

    boolean hasSameCondition() {
      return bind()
          && bodies.first().results().size() == 1
          && bodies.second().results().size() == 1
          && different(bodies.first().results().get(0), bodies.second().results().get(0)).isEmpty();
    }

    boolean hasSameStep() {
      if (!bind()
          || bodies.first().results().size() != initial.size()
          || bodies.second().results().size() != places.size()) {
        return false;
      }
      for (int i = 0; i < places.size(); i++) {
        Deque<Pair> open = new ArrayDeque<>();
        open.add(
            new Pair(
                bodies.first().results().get(places.get(i)), bodies.second().results().get(i)));
        while (!open.isEmpty()) {
          Pair pair = open.remove();
          for (Pair unlike : different(pair.first(), pair.second())) {
            if (!isSelection(unlike.first())) {
              return false;
            }
            open.add(new Pair(step().node(unlike.first()).getInput(1), unlike.second()));
          }
        }
      }
      return true;
    }

    private GraphMatch step() {
      return bodies.graph();
    }

    private List<Pair> different(String first, String second) {
      Comparison comparison = step().match(first, second, bound);
      List<Pair> different = new ArrayList<>(comparison.different());
      if (!comparison.placeholders().equals(bound)) {
        different.add(new Pair(first, second));
      }
      return different;
    }

    /** Whether a tensor is something new where the mask is true, and something kept elsewhere. */
    private boolean isSelection(String tensor) {
      NodeDef node = step().node(tensor);
      return SELECTIONS.contains(node.getOp())
          && isMask(node.getInput(0))
          && isKept(node.getInput(2), tensor);
    }

    private boolean isMask(String condition) {
      NodeDef node = step().node(step().source(condition));
      while (MaskTerm.SHAPING.contains(node.getOp())) {
        node = step().node(step().source(node.getInput(0)));
      }
      if (!node.getOp().equals("TensorListGetItem")
          || node.getAttrOrDefault("element_dtype", AttrValue.getDefaultInstance()).getType()
              != DataType.DT_BOOL
          || !places.contains(variable(node.getInput(1)))) {
        return false;
      }
      int list = variable(node.getInput(0));
      if (list < 0 || places.contains(list) || !isInvariant(list)) {
        return false;
      }
      NodeDef values = initial(list);
      return values.getOp().equals("TensorListFromTensor")
          && new MaskTerm(graph).isCondition(values.getInput(0));
    }

    /** Whether a tensor is what a selection was before, or zero. */
    private boolean isKept(String tensor, String selection) {
      int variable = variable(tensor);
      if (variable < 0) {
        return false;
      }
      boolean isPrevious =
          step().source(bodies.first().results().get(variable)).equals(step().source(selection));
      return places.contains(variable)
          ? isPrevious
          : (isPrevious || isInvariant(variable)) && initial(variable).getOp().equals("ZerosLike");
    }

    private NodeDef initial(int variable) {
      return graph.node(graph.source(initial.get(variable)));
    }

    private boolean isInvariant(int variable) {
      return variable(bodies.first().results().get(variable)) == variable;
    }

    /** Which variable of the masked loop a tensor is; -1 if it is none. */
    private int variable(String tensor) {
      return bodies.first().arguments().indexOf(step().source(tensor));
    }
  }
}
