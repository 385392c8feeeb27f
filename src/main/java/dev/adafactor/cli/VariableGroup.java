package dev.adafactor.cli;

import dev.adafactor.savedmodel.ModelDescription.Variable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Variables whose names begin alike.
 *
 * @param name the scope that they share; empty for those without one
 * @param variables in the model's order
 */
record VariableGroup(String name, List<Variable> variables) {

  /**
   * Groups variables by the layers that their names tell, as finely as the number of groups allows.
   *
   * @param most how many groups there should be at most; more if there are more outermost scopes
   */
  static List<VariableGroup> of(List<Variable> variables, int most) {
    int deepest = variables.stream().mapToInt(variable -> scopes(variable).size()).max().orElse(0);
    List<VariableGroup> groups = byDepth(variables, 1);
    for (int depth = 2; depth <= deepest; depth++) {
      List<VariableGroup> finer = byDepth(variables, depth);
      if (finer.size() > most) {
        break;
      }
      groups = finer;
    }
    return groups;
  }

  private static List<VariableGroup> byDepth(List<Variable> variables, int depth) {
    Map<String, List<Variable>> groups = new LinkedHashMap<>();
    for (Variable variable : variables) {
      List<String> scopes = scopes(variable);
      String name = String.join("/", scopes.subList(0, Math.min(depth, scopes.size())));
      groups.computeIfAbsent(name, key -> new ArrayList<>()).add(variable);
    }
    return groups.entrySet().stream()
        .map(group -> new VariableGroup(group.getKey(), group.getValue()))
        .toList();
  }

  private static List<String> scopes(Variable variable) {
    List<String> parts = List.of(variable.name().split("/"));
    return parts.subList(0, Math.max(0, parts.size() - 1));
  }
}
