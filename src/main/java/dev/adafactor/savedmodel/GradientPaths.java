package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/** What a gradient passes through on its way from a tensor back to variables. */
final class GradientPaths {
  private GradientPaths() {}

  /**
   * The nodes whose gradients are needed.
   *
   * @param flat a graph without function calls
   * @param tensor what is differentiated, {@code node:index}
   * @param variables the nodes with respect to which it is
   * @return the nodes between them, those that block gradients left out, in the graph's order
   */
  static List<NodeDef> between(GraphDef flat, String tensor, Collection<String> variables) {
    Map<String, NodeDef> nodes = new HashMap<>();
    Map<String, List<String>> users = new HashMap<>();
    for (NodeDef node : flat.getNodeList()) {
      nodes.put(node.getName(), node);
      for (String input : inputs(node)) {
        users.computeIfAbsent(input, key -> new ArrayList<>()).add(node.getName());
      }
    }
    Set<String> depending = new HashSet<>();
    Deque<String> open = new ArrayDeque<>(variables);
    while (!open.isEmpty()) {
      for (String user : users.getOrDefault(open.remove(), List.of())) {
        if (!TrustedGradients.blocks(nodes.get(user)) && depending.add(user)) {
          open.add(user);
        }
      }
    }
    Set<String> needed = new HashSet<>();
    open.add(node(tensor));
    while (!open.isEmpty()) {
      String name = open.remove();
      if (depending.contains(name) && needed.add(name)) {
        open.addAll(inputs(nodes.get(name)));
      }
    }
    return flat.getNodeList().stream().filter(node -> needed.contains(node.getName())).toList();
  }

  /** The nodes that are computed from some others in any way. */
  static Set<String> reachable(GraphDef flat, Collection<String> sources) {
    Map<String, List<String>> users = new HashMap<>();
    for (NodeDef node : flat.getNodeList()) {
      for (String input : inputs(node)) {
        users.computeIfAbsent(input, key -> new ArrayList<>()).add(node.getName());
      }
    }
    Set<String> reachable = new HashSet<>();
    Deque<String> open = new ArrayDeque<>(sources);
    while (!open.isEmpty()) {
      for (String user : users.getOrDefault(open.remove(), List.of())) {
        if (reachable.add(user)) {
          open.add(user);
        }
      }
    }
    return reachable;
  }

  private static List<String> inputs(NodeDef node) {
    return node.getInputList().stream()
        .filter(input -> !input.startsWith("^"))
        .map(GradientPaths::node)
        .toList();
  }

  private static String node(String tensor) {
    int colon = tensor.indexOf(':');
    return colon < 0 ? tensor : tensor.substring(0, colon);
  }
}
