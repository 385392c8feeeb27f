package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.savedmodel.ModelDescription.Variable;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

class VariableGroupTest {
  private static Variable variable(String name) {
    return new Variable(name, DataType.DT_FLOAT, Shape.of(2, 3), true);
  }

  @Test
  void groupsAreAsFineAsTheirNumberAllows() {
    List<Variable> variables = new ArrayList<>();
    for (int layer = 0; layer < 12; layer++) {
      for (String part : List.of("attention/query", "attention/key", "output/dense")) {
        variables.add(variable("bert/layer_" + layer + "/" + part + "/kernel"));
        variables.add(variable("bert/layer_" + layer + "/" + part + "/bias"));
      }
    }
    List<VariableGroup> groups = VariableGroup.of(variables, 20);
    assertEquals(12, groups.size());
    assertEquals("bert/layer_0", groups.get(0).name());
    assertEquals(6, groups.get(0).variables().size());
    assertEquals(36, VariableGroup.of(variables, 50).size());
  }

  @Property(tries = 200)
  void everyVariableIsInOneGroup(
      @ForAll @Size(max = 30) List<@IntRange(max = 200) Integer> numbers,
      @ForAll @IntRange(min = 1, max = 20) int most) {
    List<Variable> variables =
        numbers.stream()
            .map(n -> variable("a" + n % 3 + "/".repeat(n % 2) + "b" + n % 7 + "/c" + n))
            .toList();
    List<VariableGroup> groups = VariableGroup.of(variables, most);
    assertEquals(variables.size(), groups.stream().mapToInt(g -> g.variables().size()).sum());
    for (VariableGroup group : groups) {
      assertTrue(group.variables().stream().allMatch(v -> v.name().startsWith(group.name())));
    }
  }
}
