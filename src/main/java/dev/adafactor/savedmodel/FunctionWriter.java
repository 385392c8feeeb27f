package dev.adafactor.savedmodel;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/** Writes a part of a graph as a function. */
final class FunctionWriter {
  private final Map<String, OpDef> operations;
  private final Map<String, NodeDef> nodes;
  private final Set<String> arguments;
  private final FunctionDef.Builder function = FunctionDef.newBuilder();

  private FunctionWriter(FlatFunction part, Map<String, OpDef> operations) {
    this.operations = operations;
    this.arguments = Set.copyOf(part.arguments());
    this.nodes = Nodes.byName(part.graphDef().getNodeList());
  }

  /**
   * A function with the nodes that its results need; with all where it has no results.
   *
   * @param name the function's name
   * @param part its arguments and results
   * @param operations the known operations, by name
   */
  static FunctionDef write(String name, FlatFunction part, Map<String, OpDef> operations) {
    return new FunctionWriter(part, operations).write(name, part);
  }

  private FunctionDef write(String name, FlatFunction part) {
    OpDef.Builder signature = function.getSignatureBuilder().setName(name);
    for (String argument : part.arguments()) {
      signature.addInputArg(
          OpDef.ArgDef.newBuilder().setName(argument).setType(part.type(argument)));
    }
    Deque<String> open = new ArrayDeque<>();
    Set<String> met = new HashSet<>();
    for (int i = 0; i < part.results().size(); i++) {
      String tensor = part.results().get(i);
      signature.addOutputArg(
          OpDef.ArgDef.newBuilder().setName("result_" + i).setType(type(tensor, part)));
      function.putRet("result_" + i, reference(tensor));
      open.add(Tensors.node(tensor));
    }
    if (part.results().isEmpty()) {
      // Such a function is called for what it does.
      for (String end : ends()) {
        signature.addControlOutput(end);
        function.putControlRet(end, end);
        open.add(end);
      }
    }
    while (!open.isEmpty()) {
      String next = open.remove();
      if (arguments.contains(next) || !met.add(next)) {
        continue;
      }
      NodeDef node = nodes.get(next);
      NodeDef.Builder copy = node.toBuilder().clearInput();
      for (String input : node.getInputList()) {
        copy.addInput(input.startsWith("^") ? input : reference(input));
        open.add(Tensors.node(input));
      }
      if (operations.get(node.getOp()).getIsStateful()) {
        signature.setIsStateful(true);
      }
      function.addNodeDef(copy);
    }
    return function.build();
  }

  /** The nodes that no other needs. */
  private List<String> ends() {
    Set<String> needed = new HashSet<>();
    nodes.values().forEach(node -> node.getInputList().forEach(i -> needed.add(Tensors.node(i))));
    return nodes.keySet().stream()
        .filter(node -> !needed.contains(node) && !arguments.contains(node))
        .sorted()
        .toList();
  }

  private DataType type(String tensor, FlatFunction part) {
    String node = Tensors.node(tensor);
    return arguments.contains(node)
        ? part.type(node)
        : Tensors.outputTypes(nodes.get(node), operations).get(Tensors.index(tensor));
  }

  /** The tensor as functions name it: {@code argument} or {@code node:result:index}. */
  private String reference(String tensor) {
    String name = Tensors.node(tensor);
    if (arguments.contains(name)) {
      return name;
    }
    NodeDef node = nodes.get(name);
    OpDef op = operations.get(node.getOp());
    Attributes attributes = Attributes.of(op, node.getAttrMap());
    int index = Tensors.index(tensor);
    for (OpDef.ArgDef output : op.getOutputArgList()) {
      int count = attributes.types(output).size();
      if (index < count) {
        return name + ":" + output.getName() + ":" + index;
      }
      index -= count;
    }
    throw new IllegalArgumentException("there is no tensor '" + tensor + "'");
  }
}
