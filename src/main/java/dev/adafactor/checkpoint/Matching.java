package dev.adafactor.checkpoint;

import dev.adafactor.checkpoint.Quantity.Part;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.SerializedTensor;

/**
 * Finds a checkpoint's tensors as Python does: by walking its tree of objects and our own at the
 * same time, from attribute to attribute.
 *
 * <p>The tree is of a {@code tf.train.Checkpoint} with a model and an optimizer, or of a model
 * alone, as {@code save_weights} and SavedModels have it; the optimizer is then the model's.
 */
final class Matching {
  private static final String MODEL = "model";
  private static final String OPTIMIZER = "optimizer";

  /** Among an optimizer's variables, its steps. */
  private static final String ITERATIONS = "0";

  private static final Map<Part, String> LISTS =
      new EnumMap<>(
          Map.of(
              Part.R, "_r",
              Part.C, "_c",
              Part.V, "_v",
              Part.AVERAGE, "_model_variables_moving_average"));

  /** What a model that Keras has compiled drags along: its optimizer and metrics. */
  private static final Set<String> BESIDE_MODEL = Set.of(OPTIMIZER, "keras_api");

  private static final Pattern AVERAGE = Pattern.compile("(?!(?:r|c|v)/)(?:[^/]+/)?average/(.*)");

  private final TrackableObjectGraph wanted;
  private final TrackableObjectGraph given;

  private final Map<String, String> keys = new LinkedHashMap<>();
  private final Optional<Integer> model;
  private final Optional<Integer> optimizer;

  /**
   * Compares two trees.
   *
   * @param wanted the tree of a layout
   * @param given the tree of the checkpoint
   */
  Matching(TrackableObjectGraph wanted, TrackableObjectGraph given) {
    this.wanted = wanted;
    this.given = given;
    if (given.getNodesCount() == 0) {
      model = Optional.empty();
      optimizer = Optional.empty();
      return;
    }
    model = model();
    optimizer =
        child(given, 0, OPTIMIZER).or(() -> model.flatMap(node -> child(given, node, OPTIMIZER)));
    model.ifPresent(node -> keys.putAll(new Walk(MODEL, node).keys));
    optimizer.ifPresent(node -> keys.putAll(new Walk(OPTIMIZER, node).keys));
  }

  /** The root may be a model that holds another one which it calls "model". */
  private Optional<Integer> model() {
    Optional<Integer> held = child(given, 0, MODEL);
    if (held.isEmpty()) {
      return Optional.of(0);
    }
    int ofHeld = new Walk(MODEL, held.get()).keys.size();
    int ofRoot = new Walk(MODEL, 0).keys.size();
    return ofRoot > ofHeld ? Optional.of(0) : held;
  }

  /** Goes through a part of our tree and, beside it, through the checkpoint's. */
  private final class Walk {
    /** From our objects to those of the checkpoint. */
    private final Map<Integer, Integer> matched = new HashMap<>();

    private final Map<String, String> keys = new LinkedHashMap<>();

    Walk(String part, int there) {
      Deque<Integer> open = new ArrayDeque<>();
      child(wanted, 0, part)
          .ifPresent(
              ours -> {
                matched.put(ours, there);
                open.add(ours);
              });
      while (!open.isEmpty()) {
        int id = open.remove();
        int theirs = matched.get(id);
        key(wanted, id).ifPresent(ours -> key(given, theirs).ifPresent(key -> keys.put(ours, key)));
        for (ObjectReference reference : wanted.getNodes(id).getChildrenList()) {
          child(given, theirs, reference.getLocalName())
              .ifPresent(
                  child -> {
                    if (matched.putIfAbsent(reference.getNodeId(), child) == null) {
                      open.add(reference.getNodeId());
                    }
                  });
        }
      }
    }
  }

  /** From the layout's keys to those of the checkpoint. */
  Map<String, String> keys() {
    return keys;
  }

  /** Whether the checkpoint has the state of an optimizer, of whatever kind. */
  boolean hasOptimizer() {
    return optimizer.isPresent();
  }

  /** Whether that optimizer has more variables than its iterations. */
  boolean hasStates() {
    return !statesOfOptimizer().isEmpty();
  }

  /**
   * Whether that optimizer is an Adafactor, by the names of its variables: its lists of them are
   * not in every checkpoint of Keras's.
   */
  boolean hasAdafactor() {
    return hasStates()
        && stateNames().allMatch(name -> name.matches("([^/]+/)?(average|r|c|v)/.*"));
  }

  /** Whether that optimizer keeps moving averages of the variables. */
  boolean hasAverages() {
    return stateNames().anyMatch(name -> averaged(name).isPresent());
  }

  /** Whether that optimizer's learning rate follows a schedule. */
  boolean hasSchedule() {
    return optimizer.flatMap(node -> child(given, node, "_current_learning_rate")).isPresent();
  }

  /** Whether that optimizer's learning rate is a number. */
  boolean hasNumber() {
    return optimizer.flatMap(node -> child(given, node, "_learning_rate")).isPresent();
  }

  /**
   * The name of the variable that a part of an Adafactor's state, by its name, is the moving
   * average of; empty if it is another part.
   */
  static Optional<String> averaged(String state) {
    Matcher average = AVERAGE.matcher(state);
    return average.matches() ? Optional.of(average.group(1)) : Optional.empty();
  }

  private Stream<String> stateNames() {
    return states().map(SerializedTensor::getFullName);
  }

  /** The optimizer's variables but for its iterations, in its order. */
  Stream<SerializedTensor> states() {
    return statesOfOptimizer().stream()
        .filter(reference -> isNode(given, reference.getNodeId()))
        .flatMap(reference -> given.getNodes(reference.getNodeId()).getAttributesList().stream());
  }

  /** The variables of that optimizer but the first, its iterations. */
  private List<ObjectReference> statesOfOptimizer() {
    return variablesOfOptimizer().stream()
        .flatMap(variables -> given.getNodes(variables).getChildrenList().stream())
        .filter(reference -> !reference.getLocalName().equals(ITERATIONS))
        .toList();
  }

  private Optional<Integer> variablesOfOptimizer() {
    return optimizer.flatMap(node -> child(given, node, "_variables"));
  }

  /** The checkpoint's keys of the model's variables and of the optimizer's, in its own order. */
  Set<String> given() {
    Set<String> found = new LinkedHashSet<>();
    model.ifPresent(node -> collect(node, BESIDE_MODEL, found));
    found.addAll(givenStates());
    if (model.filter(node -> node == 0).isPresent()) {
      child(given, 0, "save_counter").flatMap(node -> key(given, node)).ifPresent(found::remove);
    }
    return found;
  }

  /** The checkpoint's keys of the optimizer's variables but for its iterations. */
  Set<String> givenStates() {
    Set<String> found = new LinkedHashSet<>();
    variablesOfOptimizer().ifPresent(node -> collect(node, Set.of(ITERATIONS), found));
    return found;
  }

  private void collect(int from, Set<String> except, Set<String> found) {
    Set<Integer> seen = new LinkedHashSet<>(Set.of(from));
    Deque<Integer> open = new ArrayDeque<>(seen);
    while (!open.isEmpty()) {
      int id = open.remove();
      key(given, id).ifPresent(found::add);
      for (ObjectReference reference : given.getNodes(id).getChildrenList()) {
        boolean left = id == from && except.contains(reference.getLocalName());
        if (!left && isNode(given, reference.getNodeId()) && seen.add(reference.getNodeId())) {
          open.add(reference.getNodeId());
        }
      }
    }
  }

  /**
   * From the layout's keys of the state of variables to those of the checkpoint, found by the names
   * of the variables in place of their numbers: a model of which another part is trained has other
   * numbers. Where several have one name, there must be as many in both, in the same order.
   */
  Map<String, String> statesByName() {
    Map<String, String> found = new LinkedHashMap<>();
    if (!hasAdafactor()) {
      return found;
    }
    List<State> theirs = states(given, optimizer.get());
    Map<String, List<State>> ours = new LinkedHashMap<>();
    child(wanted, 0, OPTIMIZER)
        .ifPresent(
            node ->
                states(wanted, node)
                    .forEach(
                        state ->
                            ours.computeIfAbsent(state.name(), n -> new ArrayList<>()).add(state)));
    ours.forEach(
        (name, same) -> {
          List<State> there =
              theirs.stream()
                  .filter(state -> state.name().equals(name) || state.name().endsWith("/" + name))
                  .toList();
          if (there.size() == same.size()) {
            for (int i = 0; i < same.size(); i++) {
              Map<Part, String> to = there.get(i).keys();
              same.get(i).keys().forEach((part, key) -> put(found, key, to.get(part)));
            }
          }
        });
    return found;
  }

  private static void put(Map<String, String> found, String ours, String theirs) {
    if (theirs != null) {
      found.put(ours, theirs);
    }
  }

  /**
   * An optimizer's state of one variable.
   *
   * @param name {@code v/NAME}, behind the name of the optimizer where it made it in its own scope
   */
  private record State(String name, Map<Part, String> keys) {}

  private static List<State> states(TrackableObjectGraph graph, int optimizer) {
    List<State> states = new ArrayList<>();
    Optional<Integer> list = child(graph, optimizer, LISTS.get(Part.V));
    if (list.isEmpty()) {
      return states;
    }
    List<ObjectReference> numbered =
        graph.getNodes(list.get()).getChildrenList().stream()
            .filter(reference -> reference.getLocalName().matches("\\d{1,9}"))
            .filter(reference -> isNode(graph, reference.getNodeId()))
            .sorted(Comparator.comparingInt(r -> Integer.parseInt(r.getLocalName())))
            .toList();
    for (ObjectReference reference : numbered) {
      TrackableObject v = graph.getNodes(reference.getNodeId());
      if (v.getAttributesCount() > 0) {
        Map<Part, String> keys = new EnumMap<>(Part.class);
        LISTS.forEach(
            (part, name) ->
                child(graph, optimizer, name)
                    .flatMap(node -> child(graph, node, reference.getLocalName()))
                    .flatMap(node -> key(graph, node))
                    .ifPresent(key -> keys.put(part, key)));
        states.add(new State(v.getAttributes(0).getFullName(), keys));
      }
    }
    return states;
  }

  private static Optional<String> key(TrackableObjectGraph graph, int node) {
    TrackableObject object = graph.getNodes(node);
    return object.getAttributesCount() == 0
        ? Optional.empty()
        : Optional.of(object.getAttributes(0).getCheckpointKey());
  }

  private static Optional<Integer> child(TrackableObjectGraph graph, int node, String name) {
    return graph.getNodes(node).getChildrenList().stream()
        .filter(reference -> reference.getLocalName().equals(name))
        .map(ObjectReference::getNodeId)
        .filter(id -> isNode(graph, id))
        .findFirst();
  }

  private static boolean isNode(TrackableObjectGraph graph, int id) {
    return id >= 0 && id < graph.getNodesCount();
  }
}
