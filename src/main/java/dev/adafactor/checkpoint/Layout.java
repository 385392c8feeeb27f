package dev.adafactor.checkpoint;

import dev.adafactor.checkpoint.Quantity.Counter;
import dev.adafactor.checkpoint.Quantity.OfModel;
import dev.adafactor.checkpoint.Quantity.OfOptimizer;
import dev.adafactor.checkpoint.Quantity.Part;
import dev.adafactor.files.VariableKey;
import dev.adafactor.savedmodel.VariableTree;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;

/**
 * Which tensors there are in what {@code tf.train.Checkpoint(model=..., optimizer=...)} writes, and
 * the tree of objects that it finds them by.
 *
 * @param objects the tree
 * @param tensors what is where, by key
 */
record Layout(TrackableObjectGraph objects, Map<String, Quantity> tensors) {

  /**
   * A variable that the optimizer trains.
   *
   * @param name the name that Python gave it
   * @param factored whether its second moment is kept as r and c
   */
  record Trained(String name, boolean factored) {}

  /** The parts of tf_keras's optimizer that are there only with certain arguments. */
  enum Option {
    /** Moving averages are kept. */
    AVERAGES,

    /** The learning rate is a schedule: what is kept is the rate of the last step. */
    SCHEDULE
  }

  /**
   * The layout for a model and its optimizer.
   *
   * @param names of the model's variables, by the index of their object in the SavedModel
   * @param trained the variables in the order that tf_keras would build the optimizer with
   */
  static Layout of(
      VariableTree model, Map<Integer, String> names, List<Trained> trained, Set<Option> options) {
    Writer writer = new Writer();
    int root = writer.graph.add();
    writer.addModel(writer.graph.add(root, "model"), model, names);
    writer.addOptimizer(writer.graph.add(root, "optimizer"), trained, options);
    writer.addValue(root, "save_counter", "save_counter", "", Counter.SAVES);
    return new Layout(writer.graph.build(), Collections.unmodifiableMap(writer.tensors));
  }

  private static final class Writer {
    private final ObjectGraph graph = new ObjectGraph();
    private final Map<String, Quantity> tensors = new LinkedHashMap<>();

    void addModel(int model, VariableTree tree, Map<Integer, String> names) {
      List<Integer> nodes = new ArrayList<>();
      for (int i = 0; i < tree.nodes().size(); i++) {
        nodes.add(i == 0 ? model : graph.add());
      }
      for (int i = 0; i < nodes.size(); i++) {
        int parent = nodes.get(i);
        tree.nodes()
            .get(i)
            .children()
            .forEach((name, child) -> graph.link(parent, name, nodes.get(child)));
      }
      tree.paths()
          .forEach(
              (node, path) -> {
                int object = tree.nodes().get(node).variable().orElseThrow();
                String key =
                    graph.setValue(
                        nodes.get(node),
                        names.get(object),
                        path.stream()
                            .map(VariableKey::step)
                            .collect(Collectors.joining("/", "model/", "")));
                tensors.put(key, new OfModel(object));
              });
    }

    void addOptimizer(int optimizer, List<Trained> trained, Set<Option> options) {
      int variables = graph.add(optimizer, "_variables");
      int iterations =
          addValue(optimizer, "_iterations", "iteration", "optimizer/", Counter.ITERATIONS);
      graph.link(variables, "0", iterations);
      if (options.contains(Option.SCHEDULE)) {
        addValue(
            optimizer,
            "_current_learning_rate",
            "current_learning_rate",
            "optimizer/",
            Counter.LEARNING_RATE);
      } else {
        addValue(optimizer, "_learning_rate", "learning_rate", "optimizer/", Counter.LEARNING_RATE);
      }
      int next = 1;
      if (options.contains(Option.AVERAGES)) {
        int averages = graph.add(optimizer, "_model_variables_moving_average");
        for (int i = 0; i < trained.size(); i++) {
          int average = addState(variables, next++, trained.get(i), Part.AVERAGE, i);
          graph.link(averages, Integer.toString(i), average);
        }
      }
      int r = graph.add(optimizer, "_r");
      int c = graph.add(optimizer, "_c");
      int v = graph.add(optimizer, "_v");
      for (int i = 0; i < trained.size(); i++) {
        String number = Integer.toString(i);
        if (trained.get(i).factored()) {
          graph.link(r, number, addState(variables, next++, trained.get(i), Part.R, i));
          graph.link(c, number, addState(variables, next++, trained.get(i), Part.C, i));
        } else {
          String name = "r/" + trained.get(i).name();
          addValue(r, number, name, "optimizer/_r/", new OfOptimizer(Part.UNUSED, i));
          addValue(c, number, name, "optimizer/_c/", new OfOptimizer(Part.UNUSED, i));
        }
        graph.link(v, number, addState(variables, next++, trained.get(i), Part.V, i));
      }
    }

    private int addState(int variables, int number, Trained trained, Part part, int variable) {
      String prefix = part.name().toLowerCase(Locale.ROOT) + "/";
      return addValue(
          variables,
          Integer.toString(number),
          prefix + trained.name(),
          "optimizer/_variables/",
          new OfOptimizer(part, variable));
    }

    int addValue(int parent, String attribute, String name, String path, Quantity quantity) {
      int object = graph.add(parent, attribute);
      tensors.put(graph.setValue(object, name, path + attribute), quantity);
      return object;
    }
  }
}
