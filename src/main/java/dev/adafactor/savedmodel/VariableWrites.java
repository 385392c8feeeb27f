package dev.adafactor.savedmodel;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Which variables the operations of a flat graph write to, those of its branches and loops
 * included.
 */
final class VariableWrites {
  private static final String VARIABLE = "VarHandleOp";

  /** What else takes the handle of a variable writes to it. */
  private static final Set<String> READING =
      Set.of(
          "ReadVariableOp",
          "ResourceGather",
          "ResourceGatherNd",
          "VariableShape",
          "VarIsInitializedOp");

  /** What gives on each input as the output of the same place. */
  private static final Set<String> PASSING =
      Set.of("Identity", "IdentityN", "StopGradient", "While", "StatelessWhile");

  private final GraphDef library;
  private final Map<String, OpDef> operations;
  private final Map<NameAttrList, Called> known = new HashMap<>();

  /**
   * What a function does with its arguments.
   *
   * @param arguments how many there are
   * @param written the places of those that it may write to
   */
  private record Called(int arguments, List<Integer> written) {}

  private VariableWrites(GraphDef library, Map<String, OpDef> operations) {
    this.library = library;
    this.operations = operations;
  }

  /**
   * The nodes of the variables that are written to.
   *
   * @param flat the flat graph, with functions that were added in its library
   * @param model the graph with the library that branches and loops name other functions of
   * @param operations the known operations, by name
   */
  static Set<String> of(GraphDef flat, GraphDef model, Map<String, OpDef> operations) {
    List<FunctionDef> added = flat.getLibrary().getFunctionList();
    GraphDef.Builder library = model.toBuilder();
    library.getLibraryBuilder().addAllFunction(added);
    return new VariableWrites(library.build(), operations).written(flat);
  }

  /** The nodes of variables, and of arguments that may be variables, that are written to. */
  private Set<String> written(GraphDef graph) {
    Map<String, NodeDef> nodes = Nodes.byName(graph.getNodeList());
    Set<String> written = new HashSet<>();
    for (NodeDef node : graph.getNodeList()) {
      writtenInputs(node)
          .forEach(tensor -> origin(nodes, tensor).ifPresent(origin -> written.add(origin)));
    }
    return written;
  }

  private Stream<String> writtenInputs(NodeDef node) {
    List<String> inputs = Tensors.inputs(node);
    List<NameAttrList> called = Library.functions(node).toList();
    if (called.isEmpty()) {
      return READING.contains(node.getOp()) || PASSING.contains(node.getOp())
          ? Stream.of()
          : inputs.stream();
    }
    return called.stream().flatMap(function -> writtenArguments(function, inputs));
  }

  /** A function takes the last inputs: before those of branches there is the condition. */
  private Stream<String> writtenArguments(NameAttrList function, List<String> inputs) {
    Called called = known.get(function);
    if (called == null) {
      called = called(function);
      known.put(function, called);
    }
    int before = inputs.size() - called.arguments();
    return called.written().stream()
        .map(index -> index + before)
        .filter(index -> index >= 0)
        .map(inputs::get);
  }

  private Called called(NameAttrList function) {
    FlatFunction flat = FlatFunction.of(function, library, operations);
    List<String> arguments = flat.arguments();
    List<Integer> written =
        written(flat.graphDef()).stream()
            .map(arguments::indexOf)
            .filter(index -> index >= 0)
            .toList();
    return new Called(arguments.size(), written);
  }

  /** The variable, or the argument, that a tensor is the handle of. */
  private static Optional<String> origin(Map<String, NodeDef> nodes, String tensor) {
    String next = tensor;
    Set<String> met = new HashSet<>();
    while (met.add(next)) {
      NodeDef node = nodes.get(Tensors.node(next));
      if (node == null) {
        return Optional.empty();
      }
      if (isHandle(node)) {
        return Optional.of(node.getName());
      }
      if (!PASSING.contains(node.getOp())) {
        return Optional.empty();
      }
      List<String> inputs = Tensors.inputs(node);
      int index = Tensors.index(next);
      if (index >= inputs.size()) {
        return Optional.empty();
      }
      next = inputs.get(index);
    }
    return Optional.empty();
  }

  private static boolean isHandle(NodeDef node) {
    return node.getOp().equals(VARIABLE)
        || (node.getOp().equals("Placeholder")
            && node.getAttrOrDefault("dtype", AttrValue.getDefaultInstance()).getType()
                == DataType.DT_RESOURCE);
  }
}
