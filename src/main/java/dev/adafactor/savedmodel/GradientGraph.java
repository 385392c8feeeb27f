package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;

/** A graph in which a function is written operation by operation. */
final class GradientGraph implements AutoCloseable {
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Map<String, Output<?>> arguments = new LinkedHashMap<>();

  Ops tf() {
    return tf;
  }

  Graph graph() {
    return graph;
  }

  /** Adds an argument of the function. */
  Output<?> argument(String name, DataType type) {
    GraphOperation placeholder =
        graph.opBuilder("Placeholder", name, tf.scope()).setAttr("dtype", type).build();
    arguments.put(name, placeholder.output(0));
    return placeholder.output(0);
  }

  /** Adds a part of a graph, whose arguments become arguments of this function. */
  void add(FlatFunction part) {
    graph.importGraphDef(part.graphDef());
    for (String argument : part.arguments()) {
      arguments.put(argument, output(argument));
    }
  }

  Output<?> output(String tensor) {
    return graph.operationOrThrow(Tensors.node(tensor)).output(Tensors.index(tensor));
  }

  /** Adds an operation whose inputs are single tensors, and returns its first output. */
  Output<?> op(String type, Map<String, AttrValue> attributes, Operand<?>... inputs) {
    return operation(type, attributes, inputs).output(0);
  }

  Output<?> op(String type, Operand<?>... inputs) {
    return op(type, Map.of(), inputs);
  }

  GraphOperation operation(String type, Map<String, AttrValue> attributes, Operand<?>... inputs) {
    GraphOperationBuilder builder = graph.opBuilder(type, tf.scope().makeOpName(type), tf.scope());
    for (Operand<?> input : inputs) {
      builder.addInput(input.asOutput());
    }
    attributes.forEach(builder::setAttr);
    return builder.build();
  }

  /** Adds an operation that has a list of tensors among its inputs, and returns all its outputs. */
  List<Output<?>> call(
      String type,
      Map<String, AttrValue> attributes,
      List<Output<?>> before,
      List<Output<?>> list,
      List<Output<?>> after) {
    GraphOperationBuilder builder = graph.opBuilder(type, tf.scope().makeOpName(type), tf.scope());
    before.forEach(builder::addInput);
    builder.addInputList(list.toArray(Output<?>[]::new));
    after.forEach(builder::addInput);
    attributes.forEach(builder::setAttr);
    GraphOperation op = builder.build();
    List<Output<?>> outputs = new ArrayList<>();
    for (int i = 0; i < op.numOutputs(); i++) {
      outputs.add(op.output(i));
    }
    return outputs;
  }

  /** The function with some results. */
  FlatFunction function(List<? extends Output<?>> results) {
    GraphDef definition = graph.toGraphDef();
    return new FlatFunction(
        definition,
        List.copyOf(arguments.keySet()),
        results.stream().map(output -> output.op().name() + ":" + output.index()).toList());
  }

  @Override
  public void close() {
    graph.close();
  }

  /** Some attributes of a node, as far as it has them. */
  static Map<String, AttrValue> attributes(NodeDef node, String... names) {
    Map<String, AttrValue> attributes = new LinkedHashMap<>();
    for (String name : names) {
      if (node.containsAttr(name)) {
        attributes.put(name, node.getAttrOrThrow(name));
      }
    }
    return attributes;
  }

  static AttrValue type(DataType type) {
    return AttrValue.newBuilder().setType(type).build();
  }

  static AttrValue types(List<DataType> types) {
    return AttrValue.newBuilder()
        .setList(AttrValue.ListValue.newBuilder().addAllType(types))
        .build();
  }

  static AttrValue truth(boolean value) {
    return AttrValue.newBuilder().setB(value).build();
  }

  static AttrValue number(long value) {
    return AttrValue.newBuilder().setI(value).build();
  }

  static AttrValue function(String name) {
    return AttrValue.newBuilder().setFunc(NameAttrList.newBuilder().setName(name)).build();
  }

  static AttrValue functions(List<String> names) {
    AttrValue.ListValue.Builder functions = AttrValue.ListValue.newBuilder();
    names.forEach(name -> functions.addFuncBuilder().setName(name));
    return AttrValue.newBuilder().setList(functions).build();
  }
}
