package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
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
      Set.of("Assert", "If", "Placeholder", "ReadVariableOp", "VarHandleOp", "While");

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
   * A function of the model, without calls, that does nothing but compute: computing it again gives
   * the same.
   *
   * @throws NoGradientException if it does more
   */
  FlatFunction pure(NameAttrList function) throws NoGradientException {
    FlatFunction flat = flat(function);
    for (NodeDef node : flat.graphDef().getNodeList()) {
      if (operation(node).getIsStateful() && !REPEATABLE.contains(node.getOp())) {
        throw new NoGradientException(node);
      }
      for (AttrValue value : node.getAttrMap().values()) {
        if (value.hasFunc()) {
          pure(value.getFunc());
        }
        for (NameAttrList branch : value.getList().getFuncList()) {
          pure(branch);
        }
      }
    }
    return flat;
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
    return operations.get(node.getOp());
  }

  List<DataType> inputTypes(NodeDef node) {
    return Tensors.inputTypes(node, operations);
  }

  List<DataType> outputTypes(NodeDef node) {
    return Tensors.outputTypes(node, operations);
  }
}
