package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.checkpoint.Layout.Option;
import dev.adafactor.checkpoint.Layout.Trained;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;

class MatchingTest {
  private static final String SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE";
  private static final Trained KERNEL = new Trained("dense/kernel", true);
  private static final Trained BIAS = new Trained("dense/bias", false);

  private static Layout layout(Trained... trained) {
    return Layout.of(
        LayoutTest.MODEL, Map.of(20, "dense/kernel"), List.of(trained), Set.of(Option.AVERAGES));
  }

  @Test
  void findsItselfAgain() {
    Layout layout = layout(KERNEL, BIAS);
    Matching matching = new Matching(layout.objects(), layout.objects());
    Map<String, String> itself = new HashMap<>();
    layout.tensors().keySet().forEach(key -> itself.put(key, key));
    itself.remove("save_counter" + SUFFIX);
    assertEquals(itself, matching.keys());
    assertTrue(matching.hasAdafactor());
    Set<String> beside = Set.of("_iterations", "_learning_rate", "_r/1", "_c/1");
    assertEquals(
        matching.keys().keySet().stream()
            .filter(
                key -> beside.stream().noneMatch(name -> key.equals("optimizer/" + name + SUFFIX)))
            .toList()
            .size(),
        matching.given().size());
    assertTrue(itself.keySet().containsAll(matching.given()));
  }

  /** As {@code save_weights} writes it: the model is the root, and holds its optimizer. */
  @Test
  void findsAModelAlone() {
    ObjectGraph alone = new ObjectGraph();
    int model = alone.add();
    String key =
        alone.setValue(alone.add(alone.add(model, "a.b/c"), "kernel"), "kernel", "a..b.Sc/kernel");
    Matching matching = new Matching(layout().objects(), alone.build());
    assertEquals(Map.of("model/a..b.Sc/kernel" + SUFFIX, key), matching.keys());
    assertFalse(matching.hasOptimizer());
    assertEquals(Set.of(key), matching.given());
    int optimizer = alone.add(model, "optimizer");
    String rate =
        alone.setValue(alone.add(optimizer, "_learning_rate"), "rate", "optimizer/_learning_rate");
    String momentum =
        alone.setValue(
            alone.add(alone.add(optimizer, "_variables"), "1"), "m", "optimizer/_variables/1");
    matching = new Matching(layout().objects(), alone.build());
    assertEquals(rate, matching.keys().get("optimizer/_learning_rate" + SUFFIX));
    assertTrue(matching.hasOptimizer());
    assertFalse(matching.hasAdafactor());
    assertEquals(Set.of(key, momentum), matching.given());
  }

  /** The root holds something that it calls "model", and is itself the model that is meant. */
  @Test
  void takesTheModelThatIsMeant() {
    ObjectGraph alone = new ObjectGraph();
    int root = alone.add();
    String inner = alone.setValue(alone.add(alone.add(root, "model"), "other"), "x", "model/other");
    String key =
        alone.setValue(alone.add(alone.add(root, "a.b/c"), "kernel"), "kernel", "a..b.Sc/kernel");
    Matching matching = new Matching(layout().objects(), alone.build());
    assertEquals(Map.of("model/a..b.Sc/kernel" + SUFFIX, key), matching.keys());
    assertEquals(Set.of(inner, key), matching.given());
  }

  @Test
  void findsNothingInNothing() {
    Matching matching =
        new Matching(layout(KERNEL).objects(), TrackableObjectGraph.getDefaultInstance());
    assertEquals(Map.of(), matching.keys());
    assertEquals(Map.of(), matching.statesByName());
    assertEquals(Set.of(), matching.given());
    assertFalse(matching.hasOptimizer());
  }

  /** Python trained more variables, or in another order. */
  @Test
  void findsStatesByTheNamesOfTheirVariables() {
    Trained other = new Trained("embedding/table", true);
    Layout theirs = layout(other, BIAS, KERNEL);
    Matching matching = new Matching(layout(KERNEL, BIAS).objects(), theirs.objects());
    Map<String, String> expected = new HashMap<>();
    // Averages 1 to 3, then r, c and v of the table, v of the bias, r, c and v of the kernel.
    expected.put("_variables/1", "_variables/3");
    expected.put("_variables/2", "_variables/2");
    expected.put("_variables/3", "_variables/8");
    expected.put("_variables/4", "_variables/9");
    expected.put("_variables/5", "_variables/10");
    expected.put("_variables/6", "_variables/7");
    expected.put("_r/1", "_r/1");
    expected.put("_c/1", "_c/1");
    Map<String, String> keys = new HashMap<>();
    expected.forEach(
        (ours, there) -> keys.put("optimizer/" + ours + SUFFIX, "optimizer/" + there + SUFFIX));
    assertEquals(keys, matching.statesByName());
  }

  @Test
  void tellsNamesakesByTheirOrderOrNotAtAll() {
    Layout two = layout(BIAS, BIAS);
    Matching same = new Matching(two.objects(), two.objects());
    same.statesByName().forEach((ours, theirs) -> assertEquals(ours, theirs));
    assertEquals(8, same.statesByName().size());
    Matching one = new Matching(layout(BIAS).objects(), two.objects());
    assertEquals(Map.of(), one.statesByName());
  }
}
