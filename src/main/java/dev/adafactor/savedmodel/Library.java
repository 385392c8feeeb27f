package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** The functions of a model, and those that are added to it. */
final class Library {
  /** Operations that count as stateful and may be repeated. */
  private static final Set<String> REPEATABLE =
      Set.of("Assert", "Case", "If", "Placeholder", "While");

  private final GraphDef model;
  private final Map<String, OpDef> operations;
  private final List<FunctionDef> added = new ArrayList<>();

  Library(GraphDef model, Map<String, OpDef> operations) {
    this.model = model;
    this.operations = operations;
  }

  /** A function of the model, without calls. */
  FlatFunction flat(NameAttrList function) {
    return FlatFunction.of(function, model, operations);
  }

  /**
   * Makes sure that a function does nothing but compute, so that computing it again gives the same.
   *
   * @throws NoGradientException if it does more, or reads variables that may have changed
   */
  void requirePure(FlatFunction function) throws NoGradientException {
    requirePure(function.graphDef().getNodeList());
  }

  private void requirePure(List<NodeDef> nodes) throws NoGradientException {
    for (NodeDef node : nodes) {
      if (operation(node).getIsStateful() && !REPEATABLE.contains(node.getOp())) {
        throw new NoGradientException(node);
      }
      for (AttrValue value : node.getAttrMap().values()) {
        if (value.hasFunc()) {
          requirePure(nodes(value.getFunc()));
        }
        for (NameAttrList branch : value.getList().getFuncList()) {
          requirePure(nodes(branch));
        }
      }
    }
  }

  private List<NodeDef> nodes(NameAttrList function) {
    return added.stream()
        .filter(f -> f.getSignature().getName().equals(function.getName()))
        .findFirst()
        .map(FunctionDef::getNodeDefList)
        .orElseGet(() -> flat(function).graphDef().getNodeList());
  }

  /** Adds a function and returns its name. */
  String add(FlatFunction function) {
    String name = "trainable_function_" + added.size();
    added.add(FunctionWriter.write(name, function, operations));
    return name;
  }

  Collection<FunctionDef> added() {
    return added;
  }

  /** The type of a function's result. */
  DataType type(FlatFunction function, int result) {
    String tensor = function.results().get(result);
    return function.graphDef().getNodeList().stream()
        .filter(node -> node.getName().equals(Tensors.node(tensor)))
        .map(node -> outputTypes(node).get(Tensors.index(tensor)))
        .findFirst()
        .orElseThrow();
  }

  private OpDef operation(NodeDef node) {
    OpDef operation = operations.get(node.getOp());
    if (operation == null) {
      throw inconsistent(
          node, "is of type '" + node.getOp() + "', which this TensorFlow does not know");
    }
    return operation;
  }

  /** An attribute that the node must have. */
  static AttrValue attribute(NodeDef node, String name) {
    if (!node.containsAttr(name)) {
      throw inconsistent(node, "is without its attribute '" + name + "'");
    }
    return node.getAttrOrThrow(name);
  }

  /** The functions that a node's attributes name: branches, or condition and body of a loop. */
  static Stream<NameAttrList> functions(NodeDef node) {
    return node.getAttrMap().values().stream()
        .flatMap(
            value ->
                Stream.concat(
                    value.hasFunc() ? Stream.of(value.getFunc()) : Stream.of(),
                    value.getList().getFuncList().stream()));
  }

  /** The names of all that a node may call. */
  static Stream<String> calls(NodeDef node) {
    return Stream.concat(Stream.of(node.getOp()), functions(node).map(NameAttrList::getName));
  }

  /** Says what is wrong with a node of the model. */
  static IllegalArgumentException inconsistent(NodeDef node, String what) {
    return new IllegalArgumentException(
        "The model is inconsistent: node '" + node.getName() + "' " + what);
  }

  List<DataType> inputTypes(NodeDef node) {
    operation(node);
    List<DataType> types = Tensors.inputTypes(node, operations);
    if (types.size() != Tensors.inputs(node).size()) {
      throw inconsistent(
          node, "has " + Tensors.inputs(node).size() + " inputs in place of " + types.size());
    }
    return types;
  }

  List<DataType> outputTypes(NodeDef node) {
    operation(node);
    return Tensors.outputTypes(node, operations);
  }
}
