package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Output;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NameAttrList;
import org.tensorflow.proto.NodeDef;

/**
 * The gradient of an {@code If} or a {@code Case}: an {@code If} or a {@code Case} of the
 * derivatives of its branches.
 */
final class BranchGradients {
  private final GradientRewriter rewriter;
  private final Library library;

  BranchGradients(GradientRewriter rewriter, Library library) {
    this.rewriter = rewriter;
    this.library = library;
  }

  /**
   * Adds the node with its gradient.
   *
   * @throws NoGradientException if it has none; nothing is added
   */
  void add(NodeDef node, GradientRewriter.Pass pass) throws NoGradientException {
    library.inputTypes(node);
    List<String> inputs = new ArrayList<>(Tensors.inputs(node));
    String condition = inputs.remove(0);
    List<DataType> types = new ArrayList<>(Library.attribute(node, "Tin").getList().getTypeList());
    List<DataType> resultTypes = Library.attribute(node, "Tout").getList().getTypeList();
    Map<String, DataType> lists = pass.listTypes.ofArguments(inputs, types);
    List<FlatFunction> branches = new ArrayList<>();
    functions(node).forEach(function -> branches.add(rewriter.rewrite(function, lists)));
    if (branches.isEmpty()
        || branches.stream()
            .anyMatch(
                f ->
                    f.arguments().size() != inputs.size()
                        || f.results().size() != resultTypes.size())) {
      throw Library.inconsistent(node, "does not fit its branches");
    }

    List<Integer> by = new ArrayList<>();
    List<Integer> of = new ArrayList<>();
    Map<Integer, DataType> values = new HashMap<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (types.get(i) == DataType.DT_RESOURCE) {
        Optional<DataType> value = VariableArguments.valueType(branches, i);
        if (value.isPresent()) {
          int argument = i;
          branches.replaceAll(branch -> VariableArguments.withValue(branch, argument, value.get()));
          values.put(i, value.get());
          types.set(i, value.get());
        }
      }
      if (FunctionDerivative.isReal(types.get(i), FunctionDerivative.argument(i), lists)) {
        by.add(i);
      }
    }
    for (int i = 0; i < resultTypes.size(); i++) {
      if (FunctionDerivative.isReal(resultTypes.get(i), "", Map.of())) {
        of.add(i);
      }
    }
    List<FlatFunction> derivatives = new ArrayList<>();
    Set<String> needed = new LinkedHashSet<>();
    for (FlatFunction branch : branches) {
      FlatFunction derivative = FunctionDerivative.of(branch, by, of);
      library.requirePure(derivative.pruned());
      derivatives.add(derivative);
      needed.addAll(derivative.pruned().arguments());
    }
    List<String> arguments = List.copyOf(needed);
    DataType conditionType = library.inputTypes(node).get(0);
    FlatFunction gradient = gradient(node, derivatives, arguments, by.size());

    values.forEach((i, type) -> inputs.set(i, pass.read(node, inputs.get(i), type)));
    NodeDef.Builder forward =
        node.toBuilder()
            .clearInput()
            .addInput(condition)
            .addAllInput(inputs)
            .addAllInput(Tensors.controls(node))
            .putAttr("Tin", GradientGraph.types(types))
            .putAllAttr(attributes(node, branches))
            .removeAttr("_read_only_resource_inputs");
    GradientRewriter.Wrapper wrapper = new GradientRewriter.Wrapper(forward.build(), resultTypes);
    for (int i : by) {
      wrapper.want(FunctionDerivative.argument(i), inputs.get(i), types.get(i));
    }
    wrapper.save("condition", condition, conditionType);
    for (int i = 0; i < inputs.size(); i++) {
      if (!by.contains(i) && needed.contains(FunctionDerivative.argument(i))) {
        wrapper.save(FunctionDerivative.argument(i), inputs.get(i), types.get(i));
      }
    }
    pass.add(wrapper, library.add(gradient), gradient.arguments());
  }

  private static boolean isCase(NodeDef node) {
    return node.getOp().endsWith("Case");
  }

  private static List<NameAttrList> functions(NodeDef node) {
    return isCase(node)
        ? Library.attribute(node, "branches").getList().getFuncList()
        : List.of(
            Library.attribute(node, "then_branch").getFunc(),
            Library.attribute(node, "else_branch").getFunc());
  }

  /** What gives an operation of a node's kind other branches, which are added to the library. */
  private Map<String, AttrValue> attributes(NodeDef node, List<FlatFunction> branches) {
    List<String> names = branches.stream().map(library::add).toList();
    return isCase(node)
        ? Map.of("branches", GradientGraph.functions(names))
        : Map.of(
            "then_branch", GradientGraph.function(names.get(0)),
            "else_branch", GradientGraph.function(names.get(1)));
  }

  private FlatFunction gradient(
      NodeDef node, List<FlatFunction> derivatives, List<String> arguments, int results) {
    List<FlatFunction> branches =
        derivatives.stream()
            .map(branch -> new FlatFunction(branch.graphDef(), arguments, branch.results()))
            .toList();
    try (GradientGraph graph = new GradientGraph()) {
      Output<?> condition = graph.argument("condition", library.inputTypes(node).get(0));
      List<Output<?>> given = new ArrayList<>();
      for (String argument : arguments) {
        given.add(graph.argument(argument, derivatives.get(0).type(argument)));
      }
      List<DataType> types = new ArrayList<>();
      for (int i = 0; i < results; i++) {
        types.add(library.type(derivatives.get(0), i));
      }
      Map<String, AttrValue> attributes = new HashMap<>(attributes(node, branches));
      attributes.put("Tout", GradientGraph.types(types));
      attributes.put("_lower_using_switch_merge", GradientGraph.truth(true));
      return graph.function(
          graph.call(
              isCase(node) ? "StatelessCase" : "StatelessIf",
              attributes,
              List.of(condition),
              given,
              List.of()));
    }
  }
}
