package dev.adafactor.savedmodel;

import dev.adafactor.graph.Reachable;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * The Python objects of a model from which its variables are reached, as {@code
 * tf.train.Checkpoint} sees them: without what only a SavedModel has, such as signatures and
 * Keras's lists of variables.
 *
 * @param nodes the objects; the first is the model
 * @param trainable the variables that {@code model.trainable_variables} lists, in its order, as
 *     indices of nodes
 */
public record VariableTree(List<Node> nodes, List<Integer> trainable) {

  /**
   * An object.
   *
   * @param children the objects that it holds, as indices of nodes, by the name of its attribute
   * @param variable the variable that it is: the index of the object in the SavedModel
   */
  public record Node(Map<String, Integer> children, Optional<Integer> variable) {}

  private static final String TRAINABLE = "trainable_variables";

  /** What Keras adds to its objects in a SavedModel. */
  private static final Set<String> OF_KERAS_SAVED_MODELS =
      Set.of(
          "variables",
          TRAINABLE,
          "regularization_losses",
          "keras_api",
          "optimizer",
          "signatures",
          "activity_regularizer_fn",
          "__call__",
          "_default_save_signature",
          "call_and_return_conditional_losses",
          "call_and_return_all_conditional_losses");

  private static final String OF_SAVED_MODELS = "signatures";

  /** Finds the variables of a model. */
  static VariableTree of(SavedObjectGraph objects) {
    return objects.getNodesCount() == 0
        ? new VariableTree(List.of(), List.of())
        : new Finder(objects).tree();
  }

  /**
   * The tree of variables whose names are the ways to them, with slashes between the steps.
   *
   * @param variables what each is known by in {@link Node#variable}, by name
   */
  public static VariableTree ofNames(Map<String, Integer> variables) {
    List<Map<String, Integer>> children = new ArrayList<>(List.of(new LinkedHashMap<>()));
    Map<Integer, Integer> found = new LinkedHashMap<>();
    variables.forEach(
        (name, variable) -> {
          int node = 0;
          for (String step : name.split("/", -1)) {
            Integer next = children.get(node).putIfAbsent(step, children.size());
            if (next == null) {
              next = children.size();
              children.add(new LinkedHashMap<>());
            }
            node = next;
          }
          found.put(node, variable);
        });
    List<Node> nodes = new ArrayList<>();
    for (int i = 0; i < children.size(); i++) {
      nodes.add(
          new Node(
              Collections.unmodifiableMap(children.get(i)), Optional.ofNullable(found.get(i))));
    }
    return new VariableTree(List.copyOf(nodes), List.copyOf(found.keySet()));
  }

  /**
   * The way to each variable: the names of the attributes from the model to it, the shortest way
   * first, by the index of its node.
   */
  public Map<Integer, List<String>> paths() {
    Map<Integer, Step> steps = new LinkedHashMap<>();
    Deque<Integer> open = new ArrayDeque<>();
    if (!nodes.isEmpty()) {
      steps.put(0, new Step(0, ""));
      open.add(0);
    }
    while (!open.isEmpty()) {
      int node = open.remove();
      nodes
          .get(node)
          .children()
          .forEach(
              (name, child) -> {
                if (steps.putIfAbsent(child, new Step(node, name)) == null) {
                  open.add(child);
                }
              });
    }
    Map<Integer, List<String>> paths = new LinkedHashMap<>();
    for (int node : steps.keySet()) {
      if (nodes.get(node).variable().isPresent()) {
        Deque<String> path = new ArrayDeque<>();
        for (int at = node; at != 0; at = steps.get(at).from) {
          path.addFirst(steps.get(at).name);
        }
        paths.put(node, List.copyOf(path));
      }
    }
    return paths;
  }

  /** The last part of the way to an object. */
  private record Step(int from, String name) {}

  private static final class Finder {
    private final SavedObjectGraph objects;
    private final Set<Integer> leading;

    Finder(SavedObjectGraph objects) {
      this.objects = objects;
      this.leading = leadingToVariables();
    }

    VariableTree tree() {
      Map<Integer, Integer> index = new HashMap<>();
      List<Integer> order = new ArrayList<>(List.of(0));
      index.put(0, 0);
      List<Node> nodes = new ArrayList<>();
      for (int i = 0; i < order.size(); i++) {
        Map<String, Integer> children = new LinkedHashMap<>();
        children(order.get(i))
            .forEach(
                (name, child) -> {
                  if (leading.contains(child)) {
                    if (index.putIfAbsent(child, order.size()) == null) {
                      order.add(child);
                    }
                    children.put(name, index.get(child));
                  }
                });
        int id = order.get(i);
        nodes.add(
            new Node(
                Collections.unmodifiableMap(children),
                isVariable(id) ? Optional.of(id) : Optional.empty()));
      }
      return new VariableTree(
          List.copyOf(nodes),
          trainable().stream().filter(index::containsKey).map(index::get).toList());
    }

    /** The objects that a checkpoint would visit from an object. */
    private Map<String, Integer> children(int id) {
      boolean keras = objects.getNodes(id).getUserObject().getIdentifier().startsWith("_tf_keras");
      Map<String, Integer> children = new LinkedHashMap<>();
      for (ObjectReference child : objects.getNodes(id).getChildrenList()) {
        String name = child.getLocalName();
        boolean extra =
            keras ? OF_KERAS_SAVED_MODELS.contains(name) : id == 0 && name.equals(OF_SAVED_MODELS);
        if (!extra && isObject(child.getNodeId())) {
          children.put(name, child.getNodeId());
        }
      }
      return children;
    }

    private Set<Integer> leadingToVariables() {
      Map<Integer, List<Integer>> parents = new HashMap<>();
      List<Integer> variables = new ArrayList<>();
      for (int id = 0; id < objects.getNodesCount(); id++) {
        int parent = id;
        children(id)
            .values()
            .forEach(child -> parents.computeIfAbsent(child, c -> new ArrayList<>()).add(parent));
        if (isVariable(id)) {
          variables.add(id);
        }
      }
      return Reachable.from(variables, id -> parents.getOrDefault(id, List.of()));
    }

    /** Keras lists them; {@code tf.Module} finds them by the names of its attributes. */
    private List<Integer> trainable() {
      for (ObjectReference child : objects.getNodes(0).getChildrenList()) {
        if (child.getLocalName().equals(TRAINABLE) && isObject(child.getNodeId())) {
          return objects.getNodes(child.getNodeId()).getChildrenList().stream()
              .filter(element -> element.getLocalName().matches("\\d{1,9}"))
              .sorted(Comparator.comparingInt(e -> Integer.parseInt(e.getLocalName())))
              .map(ObjectReference::getNodeId)
              .filter(this::isVariable)
              .toList();
        }
      }
      return List.copyOf(trainableOfModules());
    }

    /** A module's own variables come before those of the modules that it holds. */
    private Set<Integer> trainableOfModules() {
      Set<Integer> found = new LinkedHashSet<>();
      Set<Integer> visited = new HashSet<>();
      Deque<Integer> open = new ArrayDeque<>(List.of(0));
      while (!open.isEmpty()) {
        int module = open.removeLast();
        if (visited.add(module)) {
          List<Integer> modules = collect(module, found, visited);
          Collections.reverse(modules);
          open.addAll(modules);
        }
      }
      return found;
    }

    /** Goes through a module and the lists that it holds; returns the modules in them. */
    private List<Integer> collect(int module, Set<Integer> found, Set<Integer> visited) {
      List<Integer> modules = new ArrayList<>();
      Deque<Iterator<Integer>> open = new ArrayDeque<>(List.of(sortedChildren(module)));
      while (!open.isEmpty()) {
        if (!open.getLast().hasNext()) {
          open.removeLast();
          continue;
        }
        int child = open.getLast().next();
        if (isVariable(child)) {
          if (objects.getNodes(child).getVariable().getTrainable()) {
            found.add(child);
          }
        } else if (identifier(child).startsWith("trackable_")) {
          if (visited.add(child)) {
            open.add(sortedChildren(child));
          }
        } else {
          modules.add(child);
        }
      }
      return modules;
    }

    private Iterator<Integer> sortedChildren(int holder) {
      boolean list = identifier(holder).equals("trackable_list_wrapper");
      Map<String, Integer> sorted =
          new TreeMap<>(
              list
                  ? Comparator.comparingInt(VariableTree::number).thenComparing(name -> name)
                  : Comparator.<String>naturalOrder());
      sorted.putAll(children(holder));
      return sorted.values().iterator();
    }

    private String identifier(int id) {
      return objects.getNodes(id).getUserObject().getIdentifier();
    }

    private boolean isObject(int id) {
      return id >= 0 && id < objects.getNodesCount();
    }

    private boolean isVariable(int id) {
      return isObject(id) && objects.getNodes(id).getKindCase() == SavedObject.KindCase.VARIABLE;
    }
  }

  private static int number(String name) {
    return name.matches("\\d{1,9}") ? Integer.parseInt(name) : Integer.MAX_VALUE;
  }
}
