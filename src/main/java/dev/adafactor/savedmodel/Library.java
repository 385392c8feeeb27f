package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** The functions of a model, and those that are added to it. */
final class Library {
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

  /** Adds a function and returns its name. */
  String add(FlatFunction function) {
    String name = "trainable_function_" + added.size();
    added.add(FunctionWriter.write(name, function, operations));
    return name;
  }

  Collection<FunctionDef> added() {
    return added;
  }

  OpDef operation(NodeDef node) {
    return operations.get(node.getOp());
  }

  List<DataType> inputTypes(NodeDef node) {
    return Tensors.inputTypes(node, operations);
  }

  List<DataType> outputTypes(NodeDef node) {
    return Tensors.outputTypes(node, operations);
  }
}
