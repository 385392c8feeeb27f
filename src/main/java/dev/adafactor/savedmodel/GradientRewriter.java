package dev.adafactor.savedmodel;

import dev.adafactor.graph.FunctionGradients;
import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.Output;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;

/**
 * Gives the operations that lie between variables and results the gradients that Python has for
 * them, where TensorFlow's C API has none or a wrong one.
 *
 * <p>An operation {@code a} with such a gradient becomes {@code a/forward}, and an {@code
 * IdentityN} takes its name: behind a {@code StopGradient} it passes the results on, and beside
 * them it passes what a function of the library computes the gradient from, see {@link
 * FunctionGradients}. Operations through which Python passes no gradient get a {@code
 * StopGradient}. What has no gradient here stays as it is, and is refused later.
 */
final class GradientRewriter {
  private static final Set<String> BRANCHES = Set.of("If", "StatelessIf", "Case", "StatelessCase");
  private static final Set<String> LOOPS = Set.of("While", "StatelessWhile");

  private final Library library;
  private final PythonGradients python;
  private final Map<Key, Gradient> known = new HashMap<>();
  private final Set<String> open = new HashSet<>();

  /** Operations that differ in their names alone share their gradient. */
  private record Key(NodeDef node, Set<Integer> inputs) {}

  /** A function and what it takes and returns: the names of arguments, the indices of inputs. */
  private record Gradient(String function, List<String> arguments, List<Integer> inputs) {}

  private GradientRewriter(MetaGraphDef model, GraphDef functions, Map<String, OpDef> operations) {
    this.library = new Library(functions, operations);
    this.python = new PythonGradients(model);
  }

  /**
   * Rewrites a flat signature.
   *
   * @param flat the flat graph, with functions that were added in its library
   * @param model the model that it comes from
   * @param operations the known operations, by name
   * @return the graph with the same tensors, and with a library of gradient functions
   */
  static FlatGraph rewrite(FlatGraph flat, MetaGraphDef model, Map<String, OpDef> operations) {
    List<FunctionDef> added = flat.graphDef().getLibrary().getFunctionList();
    GraphDef.Builder functions = model.getGraphDef().toBuilder();
    functions.getLibraryBuilder().addAllFunction(added);
    GradientRewriter rewriter = new GradientRewriter(model, functions.build(), operations);
    List<String> variables =
        flat.graphDef().getNodeList().stream()
            .filter(node -> node.getOp().equals("VarHandleOp"))
            .map(NodeDef::getName)
            .toList();
    List<String> tensors =
        flat.tensors().values().stream().filter(tensor -> !tensor.startsWith("^")).toList();
    GraphDef.Builder rewritten =
        rewriter.rewrite(flat.graphDef(), tensors, variables, Map.of()).toBuilder();
    rewritten
        .clearLibrary()
        .getLibraryBuilder()
        .addAllFunction(added)
        .addAllFunction(rewriter.library.added());
    return new FlatGraph(rewritten.build(), flat.tensors(), flat.randomness());
  }

  /**
   * Rewrites a function of the model, all of whose arguments may have gradients.
   *
   * @param listTypes the types of the elements of lists among the arguments
   * @throws IllegalArgumentException if the function contains itself
   */
  FlatFunction rewrite(NameAttrList name, Map<String, DataType> listTypes) {
    if (!open.add(name.getName())) {
      throw new IllegalArgumentException(
          "The model is inconsistent: function '" + name.getName() + "' contains itself");
    }
    FlatFunction function = library.flat(name);
    GraphDef rewritten =
        rewrite(function.graphDef(), function.results(), function.arguments(), listTypes);
    open.remove(name.getName());
    return new FlatFunction(rewritten, function.arguments(), function.results());
  }

  private GraphDef rewrite(
      GraphDef flat,
      Collection<String> results,
      Collection<String> sources,
      Map<String, DataType> listTypes) {
    Set<String> path = new HashSet<>();
    for (String result : results) {
      GradientPaths.between(flat, result, sources).forEach(node -> path.add(node.getName()));
    }
    if (path.isEmpty()) {
      return flat;
    }
    Pass pass =
        new Pass(
            flat, path, new HashSet<>(sources), GradientPaths.reachable(flat, sources), listTypes);
    flat.getNodeList().forEach(pass::add);
    return pass.rewritten.build();
  }

  /** One graph being rewritten. */
  final class Pass {
    final ListTypes listTypes;
    private final Set<String> path;
    private final Set<String> sources;
    private final Set<String> reachable;
    private final Set<String> variables = new HashSet<>();
    private final Set<String> names = new HashSet<>();
    private final GraphDef.Builder rewritten = GraphDef.newBuilder();

    Pass(
        GraphDef flat,
        Set<String> path,
        Set<String> sources,
        Set<String> reachable,
        Map<String, DataType> listTypes) {
      this.path = path;
      this.sources = sources;
      this.reachable = reachable;
      this.listTypes = new ListTypes(flat, listTypes);
      for (NodeDef node : flat.getNodeList()) {
        names.add(node.getName());
        if (node.getOp().equals("VarHandleOp")) {
          variables.add(node.getName());
        }
      }
      rewritten.setVersions(flat.getVersions());
    }

    private void add(NodeDef node) {
      if (!path.contains(node.getName())) {
        rewritten.addNode(node);
        return;
      }
      try {
        addDifferentiable(node);
      } catch (NoGradientException e) {
        refuse(node, e);
      }
    }

    private void addDifferentiable(NodeDef node) throws NoGradientException {
      switch (node.getOp()) {
        case "ResourceGather" -> gather(node, "GatherV2");
        case "ResourceGatherNd" -> gather(node, "GatherNd");
        case "IdentityN" -> identities(node);
        default -> {
          if (BRANCHES.contains(node.getOp())) {
            new BranchGradients(GradientRewriter.this, library).add(node, this);
          } else if (LOOPS.contains(node.getOp())) {
            new LoopGradients(GradientRewriter.this, library).add(node, this);
          } else {
            operation(node);
          }
        }
      }
    }

    private void operation(NodeDef node) {
      GradientRules.Rule rule = GradientRules.of(node);
      if (rule != null) {
        withRule(node, rule);
      } else if (TrustedGradients.objection(node).isPresent() && hasNoGradient(node)) {
        stop(node);
      } else {
        withNativeGradient(node);
      }
    }

    private boolean hasNoGradient(NodeDef node) {
      return TrustedGradients.isFlat(node)
          || library.outputTypes(node).stream()
              .noneMatch(type -> Tensors.isReal(type) || isOpaque(type));
    }

    private static boolean isOpaque(DataType type) {
      return type == DataType.DT_VARIANT
          || type == DataType.DT_RESOURCE
          || type == DataType.DT_COMPLEX64
          || type == DataType.DT_COMPLEX128;
    }

    /**
     * Leaves an operation to TensorFlow's gradient. That one follows all inputs that depend on
     * variables, also where it should not, as through the shape that random numbers are drawn for.
     */
    private void withNativeGradient(NodeDef node) {
      List<DataType> types = library.inputTypes(node);
      NodeDef.Builder copy = node.toBuilder();
      for (int i = 0; i < types.size(); i++) {
        String input = node.getInput(i);
        if (Tensors.isReal(types.get(i))
            && reachable.contains(Tensors.node(input))
            && !leadsToVariables(input)) {
          copy.setInput(i, stopped(node.getName(), input, types.get(i)));
        }
      }
      rewritten.addNode(copy);
    }

    /** Leaves a node as it is. */
    void keep(NodeDef node) {
      rewritten.addNode(node);
    }

    /** Leaves a node as it is, to be refused for a reason. */
    private void refuse(NodeDef node, NoGradientException reason) {
      keep(
          node.toBuilder()
              .putAttr(TrustedGradients.REFUSED, Nodes.text(reason.getMessage()))
              .build());
    }

    /** Whether a gradient that arrives at a tensor reaches a variable. */
    boolean leadsToVariables(String tensor) {
      String node = Tensors.node(tensor);
      return path.contains(node) || sources.contains(node);
    }

    String unique(String name) {
      String free = name;
      for (int i = 1; !names.add(free); i++) {
        free = name + "_" + i;
      }
      return free;
    }

    /** Adds a read of a variable with the value's type, before the node that it is for. */
    String read(NodeDef node, String handle, DataType type) {
      String name = unique(node.getName() + "/read");
      rewritten.addNode(
          NodeDef.newBuilder()
              .setName(name)
              .setOp("ReadVariableOp")
              .addInput(handle)
              .addAllInput(Tensors.controls(node))
              .putAttr("dtype", GradientGraph.type(type)));
      path.add(name);
      return name;
    }

    /** Rows of a variable are rows of its value. */
    private void gather(NodeDef node, String op) {
      DataType type = node.getAttrOrThrow("dtype").getType();
      NodeDef.Builder gather =
          NodeDef.newBuilder()
              .setName(node.getName())
              .setOp(op)
              .addInput(read(node, node.getInput(0), type))
              .addInput(node.getInput(1))
              .putAttr("Tparams", GradientGraph.type(type))
              .putAttr("Tindices", node.getAttrOrThrow("Tindices"));
      if (op.equals("GatherV2")) {
        String axis = unique(node.getName() + "/axis");
        long batchDimensions =
            node.getAttrOrDefault("batch_dims", AttrValue.getDefaultInstance()).getI();
        rewritten.addNode(Nodes.constant(axis, (int) batchDimensions));
        gather.addInput(axis).putAttr("Taxis", GradientGraph.type(DataType.DT_INT32));
        gather.putAttr("batch_dims", GradientGraph.number(batchDimensions));
      }
      rewritten.addNode(gather.addAllInput(Tensors.controls(node)));
    }

    private void stop(NodeDef node) {
      List<DataType> types = library.outputTypes(node);
      String forward = unique(node.getName() + "/forward");
      rewritten.addNode(node.toBuilder().setName(forward));
      if (types.size() == 1) {
        rewritten.addNode(Nodes.stopGradient(node.getName(), forward, types.get(0)));
        return;
      }
      NodeDef.Builder results = NodeDef.newBuilder().setName(node.getName()).setOp("IdentityN");
      for (int i = 0; i < types.size(); i++) {
        String stopped = unique(node.getName() + "/stop");
        rewritten.addNode(Nodes.stopGradient(stopped, forward + ":" + i, types.get(i)));
        results.addInput(stopped);
      }
      rewritten.addNode(results.putAttr("T", GradientGraph.types(types)));
    }

    private void withRule(NodeDef node, GradientRules.Rule rule) {
      List<String> inputs = Tensors.inputs(node);
      Set<Integer> wanted = new HashSet<>();
      for (int i = 0; i < inputs.size(); i++) {
        if (leadsToVariables(inputs.get(i))) {
          wanted.add(i);
        }
      }
      Key key = new Key(node.toBuilder().clearName().clearInput().build(), Set.copyOf(wanted));
      Gradient gradient = known.computeIfAbsent(key, k -> gradient(node, wanted, rule));
      if (gradient.inputs.isEmpty()) {
        stop(node);
        return;
      }
      List<DataType> inputTypes = library.inputTypes(node);
      Wrapper wrapper = new Wrapper(node, library.outputTypes(node));
      for (int i : gradient.inputs) {
        wrapper.want("x_" + i, inputs.get(i), inputTypes.get(i));
      }
      for (int i = 0; i < inputs.size(); i++) {
        if (!gradient.inputs.contains(i) && gradient.arguments.contains("x_" + i)) {
          wrapper.save("x_" + i, inputs.get(i), inputTypes.get(i));
        }
      }
      add(wrapper, gradient.function, gradient.arguments);
    }

    private void identities(NodeDef node) throws NoGradientException {
      if (node.containsAttr(FunctionGradients.PYTHON)) {
        withPythonGradient(node);
      } else {
        keep(node);
      }
    }

    private void withPythonGradient(NodeDef node) throws NoGradientException {
      PythonGradients.Gradient gradient = python.of(node, names, variables);
      List<DataType> types = library.outputTypes(node);
      Wrapper wrapper =
          new Wrapper(node.toBuilder().removeAttr(FunctionGradients.PYTHON).build(), types);
      for (int i : gradient.inputs()) {
        wrapper.want("x_" + i, node.getInput(i), types.get(i));
      }
      List<String> arguments = new ArrayList<>();
      for (int i = 0; i < types.size(); i++) {
        arguments.add("dy_" + i);
      }
      FlatFunction function =
          library.flat(NameAttrList.newBuilder().setName(gradient.function()).build());
      for (String capture : gradient.captures()) {
        String argument = function.arguments().get(arguments.size());
        String tensor = capture;
        if (function.type(argument) == DataType.DT_RESOURCE) {
          DataType value =
              VariableArguments.valueType(List.of(function), arguments.size())
                  .orElseThrow(
                      () ->
                          new NoGradientException(
                              "its custom gradient, which does more with variables than read them"));
          function = VariableArguments.withValue(function, arguments.size(), value);
          tensor = read(node, capture, value);
        }
        wrapper.save(argument, tensor, function.type(argument));
        arguments.add(argument);
      }
      library.requirePure(function.pruned());
      add(wrapper, library.add(function), arguments);
    }

    /**
     * Adds a node with its gradient function.
     *
     * @param wrapper the node, and what the function needs beside its results
     * @param function the function's name
     * @param arguments its arguments: names given to the wrapper, {@code y_i} for a result, {@code
     *     dy_i} for its gradient
     */
    void add(Wrapper wrapper, String function, List<String> arguments) {
      String name = wrapper.node.getName();
      String forward = unique(name + "/forward");
      rewritten.addNode(wrapper.node.toBuilder().setName(forward));
      NodeDef.Builder identities = NodeDef.newBuilder().setName(name).setOp("IdentityN");
      List<DataType> types = new ArrayList<>(wrapper.results);
      Map<String, Integer> places = new HashMap<>();
      for (int i = 0; i < wrapper.results.size(); i++) {
        identities.addInput(stopped(name, forward + ":" + i, wrapper.results.get(i)));
        places.put("y_" + i, i);
      }
      List<Long> wanted = new ArrayList<>();
      wrapper.wanted.forEach(
          (argument, tensor) -> {
            wanted.add((long) types.size());
            places.put(argument, types.size());
            types.add(tensor.type);
            identities.addInput(
                leadsToVariables(tensor.name)
                    ? tensor.name
                    : stopped(name, tensor.name, tensor.type));
          });
      wrapper.saved.forEach(
          (argument, tensor) -> {
            String source =
                tensor.name.startsWith(Wrapper.RESULT)
                    ? forward + ":" + tensor.name.substring(Wrapper.RESULT.length())
                    : tensor.name;
            places.put(argument, types.size());
            types.add(tensor.type);
            identities.addInput(stopped(name, source, tensor.type));
          });
      for (int i = 0; i < wrapper.results.size(); i++) {
        places.put("dy_" + i, types.size() + i);
      }
      AttrValue.ListValue.Builder given = AttrValue.ListValue.newBuilder();
      arguments.forEach(argument -> given.addI(places.get(argument)));
      rewritten.addNode(
          identities
              .putAttr("T", GradientGraph.types(types))
              .putAttr(FunctionGradients.FUNCTION, Nodes.text(function))
              .putAttr(
                  FunctionGradients.INPUTS,
                  AttrValue.newBuilder()
                      .setList(AttrValue.ListValue.newBuilder().addAllI(wanted))
                      .build())
              .putAttr(FunctionGradients.ARGUMENTS, AttrValue.newBuilder().setList(given).build()));
    }

    private String stopped(String name, String tensor, DataType type) {
      String stopped = unique(name + "/stop");
      rewritten.addNode(Nodes.stopGradient(stopped, tensor, type));
      return stopped;
    }
  }

  private Gradient gradient(NodeDef node, Set<Integer> wanted, GradientRules.Rule rule) {
    try (GradientGraph graph = new GradientGraph()) {
      List<Output<?>> x = arguments(graph, "x_", library.inputTypes(node));
      List<Output<?>> y = arguments(graph, "y_", library.outputTypes(node));
      List<Output<?>> dy = arguments(graph, "dy_", library.outputTypes(node));
      List<Output<?>> gradients = rule.gradients(new GradientRules.Step(graph, node, x, y, dy));
      List<Integer> inputs = new ArrayList<>();
      List<Output<?>> results = new ArrayList<>();
      for (int i = 0; i < gradients.size(); i++) {
        if (gradients.get(i) != null && wanted.contains(i)) {
          inputs.add(i);
          results.add(gradients.get(i));
        }
      }
      FlatFunction function = graph.function(results).pruned();
      return new Gradient(library.add(function), function.arguments(), inputs);
    }
  }

  private static List<Output<?>> arguments(
      GradientGraph graph, String prefix, List<DataType> types) {
    List<Output<?>> arguments = new ArrayList<>();
    for (DataType type : types) {
      arguments.add(graph.argument(prefix + arguments.size(), type));
    }
    return arguments;
  }

  /** A node, and what its gradient function takes and returns. */
  static final class Wrapper {
    private static final String RESULT = "result:";

    private final NodeDef node;
    private final List<DataType> results;
    private final Map<String, Tensor> wanted = new LinkedHashMap<>();
    private final Map<String, Tensor> saved = new LinkedHashMap<>();

    private record Tensor(String name, DataType type) {}

    /**
     * Starts with a node.
     *
     * @param node the node
     * @param results the types of those of its results, from the first, that others use
     */
    Wrapper(NodeDef node, List<DataType> results) {
      this.node = node;
      this.results = List.copyOf(results);
    }

    /** Adds a tensor whose gradient the function returns, and which it may take. */
    void want(String argument, String tensor, DataType type) {
      wanted.put(argument, new Tensor(tensor, type));
    }

    /** Adds a tensor that the function takes. */
    void save(String argument, String tensor, DataType type) {
      saved.put(argument, new Tensor(tensor, type));
    }

    /** Adds a result of the node that the function takes and nothing else uses. */
    void saveResult(String argument, int result, DataType type) {
      saved.put(argument, new Tensor(RESULT + result, type));
    }
  }
}
