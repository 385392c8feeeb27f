package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Output;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.TensorShapeProto;

/**
 * The gradient of a {@code While}: a loop that runs back through the iterations.
 *
 * <p>The forward loop counts its iterations and pushes, at the beginning of each, those of its
 * variables on lists that the derivative of the body needs and that change. The loop back takes
 * them from the lists' ends.
 */
final class LoopGradients {
  private static final String COUNT = "count";

  private final GradientRewriter rewriter;
  private final Library library;

  LoopGradients(GradientRewriter rewriter, Library library) {
    this.rewriter = rewriter;
    this.library = library;
  }

  /**
   * A loop and its derivative.
   *
   * @param types the types of its variables
   * @param condition whether it goes on
   * @param body one iteration
   * @param real the variables that have gradients
   * @param derivative of the body, with no other arguments than it needs
   * @param kept the variables that the derivative needs and that change
   * @param constant the variables that the derivative needs and that do not change
   */
  private record Loop(
      List<DataType> types,
      FlatFunction condition,
      FlatFunction body,
      List<Integer> real,
      FlatFunction derivative,
      List<Integer> kept,
      List<Integer> constant) {}

  /**
   * Adds the node with its gradient.
   *
   * @throws NoGradientException if it has none; nothing is added
   */
  void add(NodeDef node, GradientRewriter.Pass pass) throws NoGradientException {
    library.inputTypes(node);
    List<String> inputs = new ArrayList<>(Tensors.inputs(node));
    List<DataType> types = new ArrayList<>(Library.attribute(node, "T").getList().getTypeList());
    Map<String, DataType> lists = pass.listTypes.ofArguments(inputs, types);
    List<FlatFunction> functions =
        new ArrayList<>(
            List.of(
                library.flat(Library.attribute(node, "cond").getFunc()),
                rewriter.rewrite(Library.attribute(node, "body").getFunc(), lists)));
    if (functions.stream().anyMatch(f -> f.arguments().size() != inputs.size())
        || functions.get(0).results().size() != 1
        || functions.get(1).results().size() != inputs.size()) {
      throw Library.inconsistent(node, "does not fit its condition and body");
    }
    Map<Integer, DataType> values = new HashMap<>();
    List<Integer> real = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (types.get(i) == DataType.DT_RESOURCE && isConstant(functions.get(1), i)) {
        Optional<DataType> value = VariableArguments.valueType(functions, i);
        if (value.isPresent()) {
          int argument = i;
          functions.replaceAll(
              function -> VariableArguments.withValue(function, argument, value.get()));
          values.put(i, value.get());
          types.set(i, value.get());
        }
      }
      if (FunctionDerivative.isReal(types.get(i), FunctionDerivative.argument(i), lists)) {
        real.add(i);
      }
    }
    FlatFunction body = functions.get(1);
    FlatFunction derivative = FunctionDerivative.of(body, real, real).pruned();
    library.requirePure(derivative);
    List<Integer> kept = new ArrayList<>();
    List<Integer> constant = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (derivative.arguments().contains(FunctionDerivative.argument(i))) {
        (isConstant(body, i) ? constant : kept).add(i);
      }
    }
    Loop loop = new Loop(types, functions.get(0), body, real, derivative, kept, constant);
    values.forEach((i, type) -> inputs.set(i, pass.read(node, inputs.get(i), type)));
    FlatFunction gradient = gradient(loop);
    GradientRewriter.Wrapper wrapper =
        new GradientRewriter.Wrapper(forward(node, inputs, values, loop, pass), types);
    for (int i : real) {
      wrapper.want(FunctionDerivative.argument(i), inputs.get(i), types.get(i));
    }
    for (int i : constant) {
      if (!real.contains(i)) {
        wrapper.save(FunctionDerivative.argument(i), inputs.get(i), types.get(i));
      }
    }
    for (int i = 0; i < kept.size(); i++) {
      wrapper.saveResult(list(kept.get(i)), types.size() + i, DataType.DT_VARIANT);
    }
    wrapper.saveResult(COUNT, types.size() + kept.size(), DataType.DT_INT32);
    pass.add(wrapper, library.add(gradient), gradient.arguments());
  }

  private static boolean isConstant(FlatFunction body, int variable) {
    return FunctionDerivative.aliases(body, body.arguments().get(variable))
        .contains(Tensors.node(body.results().get(variable)));
  }

  private static String list(int variable) {
    return "list_" + variable;
  }

  /** The loop with lists and a counter behind its own variables. */
  private NodeDef forward(
      NodeDef node,
      List<String> inputs,
      Map<Integer, DataType> values,
      Loop loop,
      GradientRewriter.Pass pass) {
    List<DataType> types = new ArrayList<>(loop.types);
    NodeDef.Builder forward = node.toBuilder().clearInput().addAllInput(inputs);
    String any = pass.unique(node.getName() + "/any");
    pass.keep(Nodes.constant(any, -1));
    for (int i : loop.kept) {
      String empty = pass.unique(node.getName() + "/" + list(i));
      pass.keep(
          NodeDef.newBuilder()
              .setName(empty)
              .setOp("EmptyTensorList")
              .addInput(any)
              .addInput(any)
              .putAttr("element_dtype", GradientGraph.type(loop.types.get(i)))
              .putAttr("shape_type", GradientGraph.type(DataType.DT_INT32))
              .build());
      forward.addInput(empty);
      types.add(DataType.DT_VARIANT);
    }
    String zero = pass.unique(node.getName() + "/zero");
    pass.keep(Nodes.constant(zero, 0));
    forward.addInput(zero).addAllInput(Tensors.controls(node));
    types.add(DataType.DT_INT32);
    return forward
        .putAttr("T", GradientGraph.types(types))
        .putAttr("output_shapes", shapes(node, values, types.size()))
        .putAttr("cond", GradientGraph.function(library.add(extendedCondition(loop))))
        .putAttr("body", GradientGraph.function(library.add(extendedBody(loop))))
        .removeAttr("_read_only_resource_inputs")
        .removeAttr("_num_original_outputs")
        .removeAttr("_output_shapes")
        .build();
  }

  private static AttrValue shapes(NodeDef node, Map<Integer, DataType> values, int size) {
    AttrValue known = node.getAttrOrDefault("output_shapes", AttrValue.getDefaultInstance());
    AttrValue.ListValue.Builder shapes = AttrValue.ListValue.newBuilder();
    if (known.getList().getShapeCount() > 0) {
      for (int i = 0; i < size; i++) {
        shapes.addShape(
            i < known.getList().getShapeCount() && !values.containsKey(i)
                ? known.getList().getShape(i)
                : TensorShapeProto.newBuilder().setUnknownRank(true).build());
      }
    }
    return AttrValue.newBuilder().setList(shapes).build();
  }

  private static FlatFunction extendedCondition(Loop loop) {
    try (GradientGraph graph = new GradientGraph()) {
      graph.add(loop.condition);
      loop.kept.forEach(i -> graph.argument(list(i), DataType.DT_VARIANT));
      graph.argument(COUNT, DataType.DT_INT32);
      return graph.function(
          loop.condition.results().stream().<Output<?>>map(graph::output).toList());
    }
  }

  private static FlatFunction extendedBody(Loop loop) {
    try (GradientGraph graph = new GradientGraph()) {
      graph.add(loop.body);
      List<Output<?>> results = new ArrayList<>();
      loop.body.results().forEach(result -> results.add(graph.output(result)));
      for (int i : loop.kept) {
        results.add(
            graph.op(
                "TensorListPushBack",
                graph.argument(list(i), DataType.DT_VARIANT),
                graph.output(loop.body.arguments().get(i))));
      }
      Output<?> count = graph.argument(COUNT, DataType.DT_INT32);
      results.add(graph.op("AddV2", count, graph.tf().constant(1)));
      return graph.function(results);
    }
  }

  /** The arguments of the loop back, which are its variables too, and their types. */
  private static Map<String, Output<?>> arguments(GradientGraph graph, Loop loop) {
    Map<String, Output<?>> arguments = new LinkedHashMap<>();
    arguments.put(COUNT, graph.argument(COUNT, DataType.DT_INT32));
    for (int i : loop.kept) {
      arguments.put(list(i), graph.argument(list(i), DataType.DT_VARIANT));
    }
    for (int i : loop.constant) {
      String name = FunctionDerivative.argument(i);
      arguments.put(name, graph.argument(name, loop.types.get(i)));
    }
    for (int i : loop.real) {
      String name = FunctionDerivative.gradient(i);
      arguments.put(name, graph.argument(name, loop.types.get(i)));
    }
    return arguments;
  }

  private FlatFunction gradient(Loop loop) {
    try (GradientGraph graph = new GradientGraph()) {
      List<Output<?>> variables = List.copyOf(arguments(graph, loop).values());
      List<Output<?>> results =
          graph.call(
              "StatelessWhile",
              Map.of(
                  "cond", GradientGraph.function(library.add(isAnyLeft(loop))),
                  "body", GradientGraph.function(library.add(iterationBack(loop))),
                  "_lower_using_switch_merge", GradientGraph.truth(true)),
              List.of(),
              variables,
              List.of());
      return graph.function(results.subList(results.size() - loop.real.size(), results.size()));
    }
  }

  private static FlatFunction isAnyLeft(Loop loop) {
    try (GradientGraph graph = new GradientGraph()) {
      Output<?> count = arguments(graph, loop).get(COUNT);
      return graph.function(List.of(graph.op("Greater", count, graph.tf().constant(0))));
    }
  }

  private FlatFunction iterationBack(Loop loop) {
    String derivative = library.add(loop.derivative);
    try (GradientGraph graph = new GradientGraph()) {
      Map<String, Output<?>> given = arguments(graph, loop);
      List<Output<?>> results = new ArrayList<>();
      results.add(graph.op("Sub", given.get(COUNT), graph.tf().constant(1)));
      for (int i : loop.kept) {
        var pop =
            graph.operation(
                "TensorListPopBack",
                Map.of("element_dtype", GradientGraph.type(loop.types.get(i))),
                given.get(list(i)),
                graph.tf().constant(-1));
        results.add(pop.output(0));
        given.put(FunctionDerivative.argument(i), pop.output(1));
      }
      loop.constant.forEach(i -> results.add(given.get(FunctionDerivative.argument(i))));
      results.addAll(
          graph.call(
              "PartitionedCall",
              Map.of(
                  "f", GradientGraph.function(derivative),
                  "Tout", GradientGraph.types(loop.real.stream().map(loop.types::get).toList())),
              List.of(),
              loop.derivative.arguments().stream().<Output<?>>map(given::get).toList(),
              List.of()));
      return graph.function(results);
    }
  }
}
