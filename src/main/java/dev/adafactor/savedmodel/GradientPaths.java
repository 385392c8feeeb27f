package dev.adafactor.savedmodel;

import dev.adafactor.graph.Reachable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
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
    Map<String, NodeDef> nodes = Nodes.byName(flat.getNodeList());
    Set<String> depending = behind(flat, variables, node -> !TrustedGradients.blocks(node));
    Set<String> needed =
        Reachable.from(
            Stream.of(Tensors.node(tensor)).filter(depending::contains).toList(),
            name -> inputs(nodes.get(name)).stream().filter(depending::contains).toList());
    return flat.getNodeList().stream().filter(node -> needed.contains(node.getName())).toList();
  }

  /** The nodes that are computed from some others in any way. */
  static Set<String> reachable(GraphDef flat, Collection<String> sources) {
    return behind(flat, sources, node -> true);
  }

  /**
   * @param wanted no way leads through others
   */
  private static Set<String> behind(
      GraphDef flat, Collection<String> sources, Predicate<NodeDef> wanted) {
    Map<String, List<String>> users = new HashMap<>();
    for (NodeDef node : flat.getNodeList()) {
      if (wanted.test(node)) {
        inputs(node)
            .forEach(
                input ->
                    users.computeIfAbsent(input, key -> new ArrayList<>()).add(node.getName()));
      }
    }
    return Reachable.from(
        sources.stream().flatMap(source -> users.getOrDefault(source, List.of()).stream()).toList(),
        name -> users.getOrDefault(name, List.of()));
  }

  private static List<String> inputs(NodeDef node) {
    return Tensors.nodes(Tensors.inputs(node));
  }
}
