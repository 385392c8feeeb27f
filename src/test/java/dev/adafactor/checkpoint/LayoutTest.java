package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.checkpoint.Layout.Option;
import dev.adafactor.checkpoint.Layout.Trained;
import dev.adafactor.checkpoint.Quantity.Counter;
import dev.adafactor.checkpoint.Quantity.OfModel;
import dev.adafactor.checkpoint.Quantity.OfOptimizer;
import dev.adafactor.checkpoint.Quantity.Part;
import dev.adafactor.savedmodel.VariableTree;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LayoutTest {
  private static final String SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE";

  /** Of one variable, number 20, whose way has a name with signs in it. */
  static final VariableTree MODEL =
      new VariableTree(
          List.of(
              new VariableTree.Node(Map.of("a.b/c", 1), Optional.empty()),
              new VariableTree.Node(Map.of("kernel", 2), Optional.empty()),
              new VariableTree.Node(Map.of(), Optional.of(20))),
          List.of(2));

  private static Layout layout(Set<Option> options) {
    return Layout.of(
        MODEL,
        Map.of(20, "dense/kernel"),
        List.of(new Trained("dense/kernel", true), new Trained("dense/bias", false)),
        options);
  }

  private static Map<String, Quantity> shortened(Layout layout) {
    Map<String, Quantity> tensors = new HashMap<>();
    layout
        .tensors()
        .forEach((key, what) -> tensors.put(key.substring(0, key.indexOf(SUFFIX)), what));
    return tensors;
  }

  @Test
  void hasTheKeysOfTfKeras() {
    Map<String, Quantity> expected = new HashMap<>();
    expected.put("model/a..b.Sc/kernel", new OfModel(20));
    expected.put("optimizer/_iterations", Counter.ITERATIONS);
    expected.put("optimizer/_learning_rate", Counter.LEARNING_RATE);
    expected.put("optimizer/_variables/1", new OfOptimizer(Part.R, 0));
    expected.put("optimizer/_variables/2", new OfOptimizer(Part.C, 0));
    expected.put("optimizer/_variables/3", new OfOptimizer(Part.V, 0));
    expected.put("optimizer/_variables/4", new OfOptimizer(Part.V, 1));
    expected.put("optimizer/_r/1", new OfOptimizer(Part.UNUSED, 1));
    expected.put("optimizer/_c/1", new OfOptimizer(Part.UNUSED, 1));
    expected.put("save_counter", Counter.SAVES);
    assertEquals(expected, shortened(layout(Set.of())));
  }

  @Test
  void putsAveragesBeforeTheRest() {
    Map<String, Quantity> tensors = shortened(layout(Set.of(Option.AVERAGES, Option.SCHEDULE)));
    assertEquals(new OfOptimizer(Part.AVERAGE, 1), tensors.get("optimizer/_variables/2"));
    assertEquals(new OfOptimizer(Part.R, 0), tensors.get("optimizer/_variables/3"));
    assertEquals(Counter.LEARNING_RATE, tensors.get("optimizer/_current_learning_rate"));
    assertEquals(null, tensors.get("optimizer/_learning_rate"));
  }
}
