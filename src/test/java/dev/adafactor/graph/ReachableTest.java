package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ReachableTest {

  private static final Map<String, List<String>> EDGES =
      Map.of("a", List.of("b", "c"), "b", List.of("d"), "c", List.of("d", "a"), "e", List.of("a"));

  private static List<String> from(String... begin) {
    return new ArrayList<>(
        Reachable.from(List.of(begin), node -> EDGES.getOrDefault(node, List.of())));
  }

  @Test
  void nearNodesComeFirstAndCyclesEnd() {
    assertEquals(List.of("a", "b", "c", "d"), from("a"));
  }

  @Test
  void whatIsBegunAtIsReached() {
    assertEquals(List.of("d", "e", "a", "b", "c"), from("d", "e", "d"));
    assertEquals(List.of(), from());
  }

  @Test
  void eachNodeIsAskedOnce() {
    List<String> asked = new ArrayList<>();
    Reachable.from(
        List.of("a", "c"),
        node -> {
          asked.add(node);
          return EDGES.getOrDefault(node, List.of());
        });
    assertEquals(List.of("a", "c", "b", "d"), asked);
  }

  @Test
  void depthIsNoMatter() {
    assertEquals(
        1_000_000,
        Reachable.from(List.of(1), i -> i < 1_000_000 ? List.of(i + 1) : List.of()).size());
  }
}
