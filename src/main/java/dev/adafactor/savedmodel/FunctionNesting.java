package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.FunctionDefLibrary;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;

/**
 * How the functions of a library contain each other: as calls, as branches, as bodies of loops.
 * What contains itself has no end, what is nested deeply exhausts the stack of whatever goes down
 * into it, TensorFlow's native code included, and functions that contain each other twice, level by
 * level, stand for more operations than there is memory for.
 */
final class FunctionNesting {
  /** Functions that Python exports are nested some ten deep. */
  private static final int MOST_LEVELS = 100;

  private static final long MOST_OPERATIONS = 400_000;

  private final Map<String, FunctionDef> functions = new LinkedHashMap<>();
  private final Map<String, Extent> known = new HashMap<>();

  /** How much a function is, with all that it contains. */
  private record Extent(int levels, long operations) {}

  /** A function whose contents are being looked at. */
  private record Visit(String name, List<String> contained, Deque<String> open) {}

  private FunctionNesting(FunctionDefLibrary library) {
    library.getFunctionList().forEach(f -> functions.put(f.getSignature().getName(), f));
  }

  /**
   * Checks a library.
   *
   * @throws IllegalArgumentException if a function contains itself, or too much; the message names
   *     it
   */
  static void require(FunctionDefLibrary library) {
    FunctionNesting nesting = new FunctionNesting(library);
    nesting.functions.keySet().forEach(nesting::require);
  }

  private void require(String function) {
    Deque<Visit> visits = new ArrayDeque<>();
    Set<String> within = new HashSet<>();
    enter(function, visits, within);
    while (!visits.isEmpty()) {
      Visit visit = visits.getLast();
      if (visit.open.isEmpty()) {
        known.put(visit.name, extent(visit));
        within.remove(visit.name);
        visits.removeLast();
      } else {
        enter(visit.open.remove(), visits, within);
      }
    }
  }

  private void enter(String function, Deque<Visit> visits, Set<String> within) {
    if (within.contains(function)) {
      throw new IllegalArgumentException("function '%s' contains itself".formatted(function));
    }
    if (!known.containsKey(function)) {
      List<String> contained = contained(functions.get(function));
      visits.add(new Visit(function, contained, new ArrayDeque<>(new HashSet<>(contained))));
      within.add(function);
    }
  }

  private Extent extent(Visit visit) {
    int levels = 1;
    long operations = functions.get(visit.name).getNodeDefCount();
    for (String inner : visit.contained) {
      levels = Math.max(levels, known.get(inner).levels + 1);
      operations += known.get(inner).operations;
    }
    if (levels > MOST_LEVELS) {
      throw new IllegalArgumentException(
          "function '%s' contains others more than %d levels deep"
              .formatted(visit.name, MOST_LEVELS));
    }
    if (operations > MOST_OPERATIONS) {
      throw new IllegalArgumentException(
          "function '%s' has, with all that it contains, more than %,d operations"
              .formatted(visit.name, MOST_OPERATIONS));
    }
    return new Extent(levels, operations);
  }

  private List<String> contained(FunctionDef function) {
    List<String> names = new ArrayList<>();
    for (NodeDef node : function.getNodeDefList()) {
      names.add(node.getOp());
      for (AttrValue value : node.getAttrMap().values()) {
        names.add(value.getFunc().getName());
        for (NameAttrList each : value.getList().getFuncList()) {
          names.add(each.getName());
        }
      }
    }
    names.removeIf(name -> !functions.containsKey(name));
    return names;
  }
}
