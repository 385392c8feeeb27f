package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Whether tensors are the same computation of two sets of inputs.
 *
 * <p>Names say little about which argument of a function is which input of a signature, and nothing
 * about what the signature does before and after it calls the function. Two traces of the same
 * Python code, on the other hand, are the same operations in the same order: walking both from a
 * result to the inputs proves it, and tells which input is which.
 */
final class GraphMatch {
  /** What a trace may have where another has the tensor itself. */
  private static final Set<String> TRANSPARENT = Set.of("Identity", "PreventGradient");

  /** Attributes that hint at what shapes will be. */
  private static final Set<String> HINTS = Set.of("output_shapes", "parallel_iterations");

  private final GraphDef model;
  private final Map<String, OpDef> operations;
  private final Map<String, NodeDef> nodes;
  private final Map<Pair, Boolean> functions = new HashMap<>();

  /** A tensor of the first computation and one of the second, or two functions. */
  record Pair(String first, String second) {}

  /**
   * What comparing two computations gave.
   *
   * @param placeholders which placeholder of the first each placeholder of the second is
   * @param same the tensors that come from the same operation, or are the same numbers
   * @param different those that do not; what they are computed from is not compared
   */
  record Comparison(Map<String, String> placeholders, Set<Pair> same, List<Pair> different) {
    boolean isSame() {
      return different.isEmpty();
    }
  }

  /**
   * Looks at a graph.
   *
   * @param flat the flat graph, with both computations in it
   * @param model the graph with the library that branches and loops name functions of
   */
  GraphMatch(GraphDef flat, GraphDef model, Map<String, OpDef> operations) {
    this.model = model;
    this.operations = operations;
    this.nodes = Nodes.byName(flat.getNodeList());
  }

  /**
   * Compares the computations of two tensors.
   *
   * @param first a tensor
   * @param second a tensor that is computed from placeholders of its own
   * @param bound which placeholder of the first each placeholder of the second must be; a
   *     placeholder that it does not tell of may be any
   * @return the same with all placeholders that were met, and what was found
   */
  Comparison match(String first, String second, Map<String, String> bound) {
    Map<String, String> found = new HashMap<>(bound);
    Set<Pair> met = new LinkedHashSet<>();
    List<Pair> unlike = new ArrayList<>();
    Deque<Pair> open = new ArrayDeque<>();
    open.add(new Pair(first, second));
    while (!open.isEmpty()) {
      Pair next = open.remove();
      Pair pair = new Pair(source(next.first), source(next.second));
      if (!met.add(pair)) {
        continue;
      }
      NodeDef a = node(pair.first);
      NodeDef b = node(pair.second);
      if (b.getOp().equals("Placeholder")) {
        if (!a.getOp().equals("Placeholder")
            || !type(a).equals(type(b))
            || !found.computeIfAbsent(b.getName(), key -> a.getName()).equals(a.getName())) {
          unlike.add(pair);
        }
      } else if (!pair.first.equals(pair.second)) {
        if (Tensors.index(pair.first) != Tensors.index(pair.second)
            || isOfItsOwn(a)
            || !isSameOperation(a, b)) {
          unlike.add(pair);
          continue;
        }
        List<String> inputsA = Tensors.inputs(a);
        List<String> inputsB = Tensors.inputs(b);
        for (int i = 0; i < inputsA.size(); i++) {
          open.add(new Pair(inputsA.get(i), inputsB.get(i)));
        }
      }
    }
    // One trace may know a size that the other has to ask an input for; which input that is, is
    // known only now.
    StaticNumbers numbers = new StaticNumbers(nodes, placeholder -> shape(placeholder, found));
    unlike.removeIf(pair -> numbers.areSame(pair.first, pair.second));
    unlike.forEach(met::remove);
    return new Comparison(found, met, unlike);
  }

  /**
   * What is known of a placeholder's shape: its own, or that of the placeholder of the first that
   * it is.
   */
  private Shape shape(NodeDef placeholder, Map<String, String> found) {
    NodeDef declared = nodes.get(found.getOrDefault(placeholder.getName(), placeholder.getName()));
    return declared != null && declared.containsAttr("shape")
        ? Shapes.of(declared.getAttrOrThrow("shape").getShape())
        : Shape.unknown();
  }

  private static AttrValue type(NodeDef placeholder) {
    return placeholder.getAttrOrDefault("dtype", AttrValue.getDefaultInstance());
  }

  /** Two handles are two variables, two placeholders two inputs. */
  private boolean isOfItsOwn(NodeDef node) {
    OpDef operation = operations.get(node.getOp());
    return operation == null || (operation.getIsStateful() && node.getInputCount() == 0);
  }

  /**
   * The node that a tensor comes from.
   *
   * @throws IllegalArgumentException if there is none
   */
  NodeDef node(String tensor) {
    NodeDef node = nodes.get(Tensors.node(tensor));
    if (node == null) {
      throw new IllegalArgumentException(
          "The model is inconsistent: there is no node '" + Tensors.node(tensor) + "'");
    }
    return node;
  }

  /** The tensor that a tensor is nothing but a copy of, or itself; without the index 0. */
  String source(String tensor) {
    String source = tensor;
    while (true) {
      NodeDef node = nodes.get(Tensors.node(source));
      if (node == null || !TRANSPARENT.contains(node.getOp()) || node.getInputCount() == 0) {
        return Tensors.index(source) == 0 ? Tensors.node(source) : source;
      }
      source = node.getInput(0);
    }
  }

  /** Whether two nodes compute the same of their inputs, whatever these are. */
  boolean isSameOperation(NodeDef a, NodeDef b) {
    if (!withoutState(a.getOp()).equals(withoutState(b.getOp()))
        || Tensors.inputs(a).size() != Tensors.inputs(b).size()) {
      return false;
    }
    Map<String, AttrValue> first = attributes(a);
    Map<String, AttrValue> second = attributes(b);
    if (!first.keySet().equals(second.keySet())) {
      return false;
    }
    return first.entrySet().stream()
        .allMatch(entry -> isSame(entry.getValue(), second.get(entry.getKey())));
  }

  private static String withoutState(String op) {
    return op.replaceFirst("^Stateless(?=If$|While$|Case$)", "");
  }

  private static Map<String, AttrValue> attributes(NodeDef node) {
    Map<String, AttrValue> attributes = new TreeMap<>(node.getAttrMap());
    attributes
        .keySet()
        .removeIf(
            key ->
                (key.startsWith("_") && !key.equals("_gradient_op_type")) || HINTS.contains(key));
    // A name that is made up anew for each trace.
    attributes.replaceAll((key, value) -> key.equals("_gradient_op_type") ? text() : value);
    return attributes;
  }

  private static AttrValue text() {
    return Nodes.text("custom");
  }

  private boolean isSame(AttrValue a, AttrValue b) {
    if (a.hasFunc() && b.hasFunc()) {
      return isSame(a.getFunc(), b.getFunc());
    }
    List<NameAttrList> first = a.getList().getFuncList();
    List<NameAttrList> second = b.getList().getFuncList();
    if (first.isEmpty() || first.size() != second.size()) {
      return a.equals(b);
    }
    for (int i = 0; i < first.size(); i++) {
      if (!isSame(first.get(i), second.get(i))) {
        return false;
      }
    }
    return true;
  }

  private boolean isSame(NameAttrList a, NameAttrList b) {
    if (a.equals(b)) {
      return true;
    }
    Pair pair = new Pair(a.getName(), b.getName());
    Boolean known = functions.get(pair);
    if (known == null) {
      // Until the bodies are compared: a function that contains itself is refused elsewhere.
      functions.put(pair, false);
      known = isSame(FlatFunction.of(a, model, operations), FlatFunction.of(b, model, operations));
      functions.put(pair, known);
    }
    return known;
  }

  private boolean isSame(FlatFunction a, FlatFunction b) {
    if (a.results().size() != b.results().size() || a.arguments().size() != b.arguments().size()) {
      return false;
    }
    Bodies bodies = bodies(a, b);
    Map<String, String> bound = new HashMap<>();
    for (int i = 0; i < a.arguments().size(); i++) {
      bound.put(bodies.second.arguments().get(i), bodies.first.arguments().get(i));
    }
    for (int i = 0; i < a.results().size(); i++) {
      Comparison comparison =
          bodies.graph.match(bodies.first.results().get(i), bodies.second.results().get(i), bound);
      if (!comparison.isSame() || !comparison.placeholders.equals(bound)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Two functions in one graph, to be compared there.
   *
   * @param first with the names that it has in the graph
   * @param second with the names that it has in the graph
   */
  record Bodies(GraphMatch graph, FlatFunction first, FlatFunction second) {}

  /** The functions that attributes of two nodes name. */
  Bodies bodies(NameAttrList a, NameAttrList b) {
    return bodies(FlatFunction.of(a, model, operations), FlatFunction.of(b, model, operations));
  }

  private Bodies bodies(FlatFunction a, FlatFunction b) {
    FlatFunction first = renamed(a, "a/");
    FlatFunction second = renamed(b, "b/");
    GraphDef both = first.graphDef().toBuilder().mergeFrom(second.graphDef()).build();
    GraphMatch graph = new GraphMatch(both, model, operations);
    graph.functions.putAll(functions);
    return new Bodies(graph, first, second);
  }

  private static FlatFunction renamed(FlatFunction function, String prefix) {
    GraphDef.Builder graph = GraphDef.newBuilder();
    function.graphDef().getNodeList().forEach(node -> graph.addNode(renamed(node, prefix)));
    return new FlatFunction(
        graph.build(),
        function.arguments().stream().map(name -> prefix + name).toList(),
        function.results().stream().map(name -> prefix + name).toList());
  }

  private static NodeDef renamed(NodeDef node, String prefix) {
    NodeDef.Builder copy = node.toBuilder().setName(prefix + node.getName()).clearInput();
    for (String input : node.getInputList()) {
      copy.addInput(input.startsWith("^") ? "^" + prefix + input.substring(1) : prefix + input);
    }
    return copy.build();
  }
}
