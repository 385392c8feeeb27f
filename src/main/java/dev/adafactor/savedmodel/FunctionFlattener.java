package dev.adafactor.savedmodel;

import dev.adafactor.graph.FunctionGradients;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Replaces function calls by the bodies of the functions.
 *
 * <p>TensorFlow's C API builds gradients of operations, not of function calls. A call {@code a/f}
 * becomes the nodes {@code a/f/...} of the body, an {@code Identity} for each of its results, and a
 * {@code NoOp} for its completion. Whoever depends on a call waits for the body's side effects, and
 * so does whoever uses a result; but not inside a function that itself ends no sooner than the
 * call: as where TensorFlow inlines functions, layers need not wait for the statistics of those
 * before them, and can be fused with them. Functions that are the branches of an {@code If} or the
 * body of a {@code While} are not calls, and stay.
 *
 * <p>The operations of functions ask for no device: whoever trains chooses. What the graph itself
 * has, such as variables and tables, stays where it has its content.
 *
 * <p>Only what the requested tensors need is kept. The work is done with a queue, not by recursion:
 * neither deep nesting nor long chains exhaust the stack.
 */
final class FunctionFlattener {
  private static final Set<String> CALLS = Set.of("PartitionedCall", "StatefulPartitionedCall");

  /** Names nodes of the unflattened graph or function, and devices do not need it. */
  private static final String COLOCATION = "_class";

  /** Functions that call each other twice, level by level, grow exponentially. */
  private static final int MOST_NODES = 400_000;

  private final Map<String, OpDef> operations;
  private final Map<String, FunctionDef> functions = new HashMap<>();
  private final Set<String> usedNames = new HashSet<>();
  private final Deque<Call> pending = new ArrayDeque<>();
  private final GraphDef.Builder flat = GraphDef.newBuilder();

  private FunctionFlattener(GraphDef graph, Map<String, OpDef> operations) {
    this.operations = operations;
    for (FunctionDef function : graph.getLibrary().getFunctionList()) {
      functions.put(function.getSignature().getName(), function);
    }
    flat.setVersions(graph.getVersions());
  }

  /**
   * Flattens what some tensors of a graph need.
   *
   * @param graph a graph with its library of functions
   * @param operations the known operations, by name
   * @param tensors the tensors to keep, each {@code node} or {@code node:index}, and {@code ^node}
   *     for a node to keep with its side effects
   * @throws IllegalArgumentException if the graph is inconsistent: a name that nothing has, an
   *     unknown operation, a function that calls itself
   */
  static FlatGraph flatten(
      GraphDef graph, Map<String, OpDef> operations, Collection<String> tensors) {
    return new FunctionFlattener(graph, operations).flatten(graph, tensors);
  }

  private FlatGraph flatten(GraphDef graph, Collection<String> tensors) {
    Frame top =
        new Frame(null, "the graph", graph.getNodeList(), new Attributes("the graph", Map.of()));
    for (NodeDef node : graph.getNodeList()) {
      usedNames.add(node.getName());
      top.names.put(node.getName(), node.getName());
    }
    emitBody(top, tensors);
    while (!pending.isEmpty()) {
      inline(pending.remove());
    }
    Map<String, String> results = new LinkedHashMap<>();
    for (String tensor : tensors) {
      if (tensor.startsWith("^")) {
        results.put(tensor, "^" + top.controlName(tensor.substring(1)));
      } else {
        String name = top.single(tensor);
        results.put(tensor, name.contains(":") ? name : name + ":0");
      }
    }
    return new FlatGraph(flat.build(), results, Optional.empty());
  }

  /** A call that is met for the first time is queued; its results have their names at once. */
  private final class Call {
    final Frame frame;
    final NodeDef node;
    final FunctionDef function;
    final Attributes attributes;
    final String prefix;
    final String done;
    final List<DataType> types = new ArrayList<>();
    final List<String> results = new ArrayList<>();

    Call(Frame frame, NodeDef node) {
      this.frame = frame;
      this.node = node;
      String name = node.getOp();
      Map<String, AttrValue> given = node.getAttrMap();
      if (CALLS.contains(name)) {
        NameAttrList f = node.getAttrOrDefault("f", AttrValue.getDefaultInstance()).getFunc();
        name = f.getName();
        given = f.getAttrMap();
      }
      function = functions.get(name);
      if (function == null) {
        throw frame.inconsistent(
            "node '" + node.getName() + "' calls the unknown function '" + name + "'");
      }
      attributes = Attributes.of(function.getSignature(), given);
      prefix = frame.flatName(node.getName());
      done = unique(prefix + "/done");
      for (OpDef.ArgDef result : function.getSignature().getOutputArgList()) {
        for (DataType type : attributes.types(result)) {
          types.add(type);
          results.add(unique(prefix + "/" + result.getName()));
        }
      }
    }
  }

  private void inline(Call call) {
    FunctionDef function = call.function;
    String name = function.getSignature().getName();
    for (Frame caller = call.frame; caller != null; caller = caller.caller) {
      if (caller.name.equals(name)) {
        throw call.frame.inconsistent("function '" + name + "' calls itself");
      }
    }
    Frame body = new Frame(call.frame, name, function.getNodeDefList(), call.attributes);
    for (NodeDef node : function.getNodeDefList()) {
      body.names.put(node.getName(), unique(call.prefix + "/" + node.getName()));
    }
    passArguments(call, body);
    if (function.getNodeDefList().stream()
        .anyMatch(n -> n.containsAttr(FunctionGradients.PYTHON))) {
      nameArguments(call, body);
    }

    List<String> controls = call.frame.controls(call.node);
    if (!controls.isEmpty()) {
      body.start = unique(call.prefix + "/start");
      emit(NodeDef.newBuilder().setName(body.start).setOp("NoOp").addAllInput(controls).build());
    }
    List<String> effects =
        function.getSignature().getControlOutputList().stream()
            .map(output -> "^" + requireReturn(body, function.getControlRetMap(), output))
            .toList();
    effects.forEach(effect -> body.effects.add(nodeName(effect)));
    List<String> returns = new ArrayList<>();
    for (OpDef.ArgDef result : function.getSignature().getOutputArgList()) {
      returns.add(body.unguarded(requireReturn(body, function.getRetMap(), result.getName())));
    }
    List<String> roots = new ArrayList<>(returns);
    roots.addAll(effects);
    emitBody(body, roots);

    NodeDef.Builder done = NodeDef.newBuilder().setName(call.done).setOp("NoOp");
    effects.forEach(effect -> done.addInput("^" + body.controlName(effect.substring(1))));
    if (body.start != null) {
      done.addInput("^" + body.start);
    }
    emit(done.build());
    boolean endsEarlier = call.frame.effects.contains(call.node.getName());
    String end = done.getInputCount() > 0 ? call.done : null;
    emitResults(call, body, returns, endsEarlier ? body.start : end);
  }

  private void passArguments(Call call, Frame body) {
    List<String> given = new ArrayList<>();
    for (String input : call.node.getInputList()) {
      if (!input.startsWith("^")) {
        given.addAll(call.frame.tensors(input));
      }
    }
    int next = 0;
    for (OpDef.ArgDef argument : call.function.getSignature().getInputArgList()) {
      int end = next + call.attributes.types(argument).size();
      if (end > given.size()) {
        break;
      }
      body.arguments.put(argument.getName(), List.copyOf(given.subList(next, end)));
      next = end;
    }
    if (next != given.size()
        || body.arguments.size() != call.function.getSignature().getInputArgCount()) {
      throw call.frame.inconsistent(
          String.format(
              "node '%s' calls function '%s' with %d arguments, which takes another number",
              call.node.getName(), body.name, given.size()));
    }
  }

  /** A gradient that Python defined may name an argument as a tensor that it needs. */
  private void nameArguments(Call call, Frame body) {
    for (OpDef.ArgDef argument : call.function.getSignature().getInputArgList()) {
      List<DataType> types = call.attributes.types(argument);
      if (types.size() == 1 && Tensors.isReal(types.get(0))) {
        emit(
            Nodes.identity(
                unique(call.prefix + "/" + argument.getName()),
                body.arguments.get(argument.getName()).get(0),
                types.get(0)));
      }
    }
  }

  /**
   * Emits an {@code Identity} for each result.
   *
   * @param awaited the node that they wait for, or null
   */
  private void emitResults(Call call, Frame body, List<String> returns, String awaited) {
    List<String> tensors = new ArrayList<>();
    returns.forEach(tensor -> tensors.addAll(body.tensors(tensor)));
    if (tensors.size() != call.results.size()) {
      throw body.inconsistent(
          "its returned tensors are "
              + tensors.size()
              + ", its signature has "
              + call.results.size());
    }
    for (int i = 0; i < tensors.size(); i++) {
      NodeDef.Builder result =
          NodeDef.newBuilder()
              .setName(call.results.get(i))
              .setOp("Identity")
              .addInput(tensors.get(i))
              .putAttr("T", AttrValue.newBuilder().setType(call.types.get(i)).build());
      if (awaited != null) {
        result.addInput("^" + awaited);
      }
      emit(result.build());
    }
  }

  /** Emits the nodes of a frame that its roots need; calls go to the queue. */
  private void emitBody(Frame frame, Collection<String> roots) {
    Set<String> met = new HashSet<>();
    Deque<String> open = new ArrayDeque<>();
    for (String root : roots) {
      frame.meet(root, met, open);
    }
    while (!open.isEmpty()) {
      NodeDef node = frame.nodes.get(open.remove());
      node.getInputList().forEach(input -> frame.meet(input, met, open));
      if (isCall(node)) {
        frame.call(node);
      } else {
        emit(frame.flatten(node));
      }
    }
  }

  private void emit(NodeDef node) {
    flat.addNode(node);
  }

  private boolean isCall(NodeDef node) {
    return CALLS.contains(node.getOp()) || functions.containsKey(node.getOp());
  }

  private String unique(String name) {
    if (usedNames.size() >= MOST_NODES) {
      throw new IllegalArgumentException(
          "The model's functions, with all that they call, have more than "
              + MOST_NODES
              + " operations: too many to train");
    }
    String free = name;
    for (int i = 1; !usedNames.add(free); i++) {
      free = name + "_" + i;
    }
    return free;
  }

  private static String requireReturn(Frame body, Map<String, String> returns, String name) {
    String tensor = returns.get(name);
    if (tensor == null) {
      throw body.inconsistent("its result '" + name + "' is returned by no node");
    }
    return tensor;
  }

  /** One scope of names: the graph itself, or the body of a function in one of its calls. */
  private final class Frame {
    final Frame caller;
    final String name;
    final Map<String, NodeDef> nodes = new HashMap<>();
    final Map<String, String> names = new HashMap<>();
    final Map<String, List<String>> arguments = new HashMap<>();
    final Map<String, Call> calls = new HashMap<>();

    /** The nodes that the end of the call waits for. */
    final Set<String> effects = new HashSet<>();

    /** What the body waits for because the call does, or null. */
    String start;

    Frame(Frame caller, String name, List<NodeDef> nodes, Attributes attributes) {
      this.caller = caller;
      this.name = name;
      for (NodeDef node : nodes) {
        if (this.nodes.put(node.getName(), attributes.bind(node)) != null) {
          throw inconsistent("two nodes have the name '" + node.getName() + "'");
        }
      }
    }

    String flatName(String node) {
      return names.get(node);
    }

    Call call(NodeDef node) {
      Call call = calls.get(node.getName());
      if (call == null) {
        call = new Call(this, node);
        calls.put(node.getName(), call);
        pending.add(call);
      }
      return call;
    }

    /** Queues the node that an input refers to, unless it was met before. */
    void meet(String input, Set<String> met, Deque<String> open) {
      String node = nodeName(input);
      if (!arguments.containsKey(node) && met.add(node)) {
        requireNode(node, input);
        open.add(node);
      }
    }

    /**
     * What a returned tensor is a copy of, where the copy is there to wait for effects: the end of
     * the call has them in it anyway.
     */
    String unguarded(String tensor) {
      NodeDef node = nodes.get(nodeName(tensor));
      return node != null
              && node.getOp().equals("Identity")
              && node.getInputList().stream().skip(1).allMatch(this::isEffect)
          ? node.getInput(0)
          : tensor;
    }

    private boolean isEffect(String control) {
      String name = nodeName(control);
      NodeDef node = nodes.get(name);
      return effects.contains(name)
          || (node != null
              && node.getOp().equals("NoOp")
              && node.getInputList().stream()
                  .map(FunctionFlattener::nodeName)
                  .allMatch(effects::contains));
    }

    NodeDef flatten(NodeDef node) {
      NodeDef.Builder copy =
          node.toBuilder()
              .setName(flatName(node.getName()))
              .clearInput()
              .removeAttr(COLOCATION)
              .clearExperimentalDebugInfo();
      if (caller != null) {
        copy.clearDevice();
      }
      for (String input : node.getInputList()) {
        if (!input.startsWith("^")) {
          copy.addAllInput(tensors(input));
        }
      }
      copy.addAllInput(controls(node));
      keepSharedName(node, copy);
      return copy.build();
    }

    List<String> controls(NodeDef node) {
      List<String> controls = new ArrayList<>();
      boolean waits = false;
      for (String input : node.getInputList()) {
        waits |= !arguments.containsKey(nodeName(input));
        if (input.startsWith("^")) {
          controls.add("^" + controlName(input.substring(1)));
        }
      }
      // A call waits even if one of its arguments does: its body may not need that one.
      if ((!waits || isCall(node)) && start != null) {
        controls.add("^" + start);
      }
      return controls;
    }

    /** The flat node whose end is the end of a node or of an argument's computation. */
    String controlName(String node) {
      List<String> argument = arguments.get(node);
      if (argument != null) {
        return nodeName(argument.get(0));
      }
      NodeDef target = requireNode(node, "^" + node);
      return isCall(target) ? call(target).done : flatName(node);
    }

    String single(String input) {
      List<String> tensors = tensors(input);
      if (tensors.size() != 1) {
        throw inconsistent("'" + input + "' is not one tensor but " + tensors.size());
      }
      return tensors.get(0);
    }

    /** The flat tensors that an input refers to: one, or all of a list. */
    List<String> tensors(String input) {
      String[] parts = input.split(":", -1);
      List<String> argument = arguments.get(parts[0]);
      if (argument != null) {
        return parts.length == 1 ? argument : List.of(at(argument, parts[1], input));
      }
      NodeDef node = requireNode(parts[0], input);
      if (caller == null) {
        List<String> outputs = outputs(node, "", input);
        return List.of(at(outputs, parts.length == 1 ? "0" : parts[1], input));
      }
      if (parts.length == 1) {
        throw inconsistent("'" + input + "' names no output of node '" + parts[0] + "'");
      }
      List<String> outputs = outputs(node, parts[1], input);
      return parts.length == 2 ? outputs : List.of(at(outputs, parts[2], input));
    }

    private String at(List<String> tensors, String index, String input) {
      try {
        return tensors.get(Integer.parseInt(index));
      } catch (NumberFormatException | IndexOutOfBoundsException e) {
        throw inconsistent("there is no tensor '" + input + "'");
      }
    }

    /** The flat names of a node's outputs: of all, or of those that belong to one named result. */
    private List<String> outputs(NodeDef node, String result, String input) {
      OpDef op = signature(node);
      Attributes attributes = Attributes.of(op, node.getAttrMap());
      int begin = 0;
      int end = 0;
      for (OpDef.ArgDef output : op.getOutputArgList()) {
        int count = attributes.types(output).size();
        if (output.getName().equals(result)) {
          begin = end;
          end += count;
          return flatOutputs(node, begin, end);
        }
        end += count;
      }
      if (!result.isEmpty()) {
        throw inconsistent("there is no tensor '" + input + "'");
      }
      return flatOutputs(node, begin, end);
    }

    private List<String> flatOutputs(NodeDef node, int begin, int end) {
      if (isCall(node)) {
        List<String> results = call(node).results;
        if (end > results.size()) {
          throw inconsistent(
              "node '" + node.getName() + "' expects more results than its function has");
        }
        return results.subList(begin, end);
      }
      String flatName = flatName(node.getName());
      List<String> outputs = new ArrayList<>(end - begin);
      for (int i = begin; i < end; i++) {
        outputs.add(i == 0 ? flatName : flatName + ":" + i);
      }
      return outputs;
    }

    private OpDef signature(NodeDef node) {
      FunctionDef function = functions.get(node.getOp());
      OpDef op = function != null ? function.getSignature() : operations.get(node.getOp());
      if (op == null) {
        throw inconsistent(
            String.format(
                "node '%s' is of type '%s', which this TensorFlow does not know",
                node.getName(), node.getOp()));
      }
      return op;
    }

    private NodeDef requireNode(String node, String input) {
      NodeDef found = nodes.get(node);
      if (found == null) {
        throw inconsistent("'" + input + "' names no node");
      }
      return found;
    }

    /** A table without a shared name goes by its node's name: its copy must find it by that. */
    private void keepSharedName(NodeDef node, NodeDef.Builder copy) {
      AttrValue sharedName = node.getAttrMap().get("shared_name");
      if (caller == null && sharedName != null && sharedName.getS().isEmpty()) {
        copy.putAttr("shared_name", AttrValue.newBuilder().setS(node.getNameBytes()).build());
      }
    }

    IllegalArgumentException inconsistent(String what) {
      return new IllegalArgumentException(
          "The model is inconsistent, in "
              + (caller == null ? name : "function '" + name + "'")
              + ": "
              + what);
    }
  }

  /** The node in {@code node:result:index}, {@code node:index} or {@code ^node}. */
  private static String nodeName(String input) {
    int begin = input.startsWith("^") ? 1 : 0;
    int end = input.indexOf(':');
    return input.substring(begin, end < 0 ? input.length() : end);
  }
}
