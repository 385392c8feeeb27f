package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
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
   * The way to each variable: the names of the attributes from the model to it, the shortest way
   * first, by the index of its node.
   */
  public Map<Integer, List<String>> paths() {
    Map<Integer, List<String>> paths = new LinkedHashMap<>();
    Deque<Integer> open = new ArrayDeque<>();
    if (!nodes.isEmpty()) {
      paths.put(0, List.of());
      open.add(0);
    }
    while (!open.isEmpty()) {
      int node = open.remove();
      nodes
          .get(node)
          .children()
          .forEach(
              (name, child) -> {
                if (!paths.containsKey(child)) {
                  List<String> path = new ArrayList<>(paths.get(node));
                  path.add(name);
                  paths.put(child, path);
                  open.add(child);
                }
              });
    }
    paths.keySet().removeIf(node -> nodes.get(node).variable().isEmpty());
    return paths;
  }

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
        if (!extra && child.getNodeId() >= 0 && child.getNodeId() < objects.getNodesCount()) {
          children.put(name, child.getNodeId());
        }
      }
      return children;
    }

    private Set<Integer> leadingToVariables() {
      Map<Integer, List<Integer>> parents = new HashMap<>();
      Deque<Integer> open = new ArrayDeque<>();
      for (int id = 0; id < objects.getNodesCount(); id++) {
        int parent = id;
        children(id)
            .values()
            .forEach(child -> parents.computeIfAbsent(child, c -> new ArrayList<>()).add(parent));
        if (isVariable(id)) {
          open.add(id);
        }
      }
      Set<Integer> leading = new LinkedHashSet<>();
      while (!open.isEmpty()) {
        int id = open.remove();
        if (leading.add(id)) {
          open.addAll(parents.getOrDefault(id, List.of()));
        }
      }
      return leading;
    }

    /** Keras lists them; {@code tf.Module} finds them by the names of its attributes. */
    private List<Integer> trainable() {
      for (ObjectReference child : objects.getNodes(0).getChildrenList()) {
        if (child.getLocalName().equals(TRAINABLE)) {
          return objects.getNodes(child.getNodeId()).getChildrenList().stream()
              .filter(element -> element.getLocalName().matches("\\d{1,9}"))
              .sorted(Comparator.comparingInt(e -> Integer.parseInt(e.getLocalName())))
              .map(ObjectReference::getNodeId)
              .filter(this::isVariable)
              .toList();
        }
      }
      Set<Integer> found = new LinkedHashSet<>();
      findTrainable(0, found, new LinkedHashSet<>());
      return List.copyOf(found);
    }

    /** A module's own variables come before those of the modules that it holds. */
    private void findTrainable(int module, Set<Integer> found, Set<Integer> visited) {
      if (!visited.add(module)) {
        return;
      }
      List<Integer> modules = new ArrayList<>();
      collect(module, found, modules, visited);
      modules.forEach(inner -> findTrainable(inner, found, visited));
    }

    private void collect(
        int holder, Set<Integer> found, List<Integer> modules, Set<Integer> visited) {
      boolean list = identifier(holder).equals("trackable_list_wrapper");
      Map<String, Integer> sorted =
          new TreeMap<>(
              list
                  ? Comparator.comparingInt(VariableTree::number).thenComparing(name -> name)
                  : Comparator.<String>naturalOrder());
      sorted.putAll(children(holder));
      for (int child : sorted.values()) {
        if (isVariable(child)) {
          if (objects.getNodes(child).getVariable().getTrainable()) {
            found.add(child);
          }
        } else if (identifier(child).startsWith("trackable_")) {
          if (visited.add(child)) {
            collect(child, found, modules, visited);
          }
        } else {
          modules.add(child);
        }
      }
    }

    private String identifier(int id) {
      return objects.getNodes(id).getUserObject().getIdentifier();
    }

    private boolean isVariable(int id) {
      return id >= 0
          && id < objects.getNodesCount()
          && objects.getNodes(id).getKindCase() == SavedObject.KindCase.VARIABLE;
    }
  }

  private static int number(String name) {
    return name.matches("\\d{1,9}") ? Integer.parseInt(name) : Integer.MAX_VALUE;
  }
}
