package dev.adafactor.savedmodel;

import dev.adafactor.graph.ErrorLine;
import dev.adafactor.graph.FunctionGradients;
import dev.adafactor.savedmodel.ModelDescription.Exporter;
import dev.adafactor.savedmodel.ModelDescription.FileSize;
import dev.adafactor.savedmodel.ModelDescription.Result;
import dev.adafactor.savedmodel.ModelDescription.Signature;
import dev.adafactor.savedmodel.ModelDescription.Table;
import dev.adafactor.savedmodel.ModelDescription.Variable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tensorflow.TensorFlow;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;

/** Finds out what a {@link ModelDescription} says. */
final class ModelInspection {
  /** Operations that give a result its form or its place, but not its meaning. */
  private static final Set<String> PASSING =
      Set.of(
          "Identity",
          "IdentityN",
          "StopGradient",
          "Reshape",
          "Squeeze",
          "ExpandDims",
          "Cast",
          "EnsureShape");

  private final SavedModelFolder folder;
  private final MetaGraphDef model;
  private final Map<String, SavedVariable> variables;
  private final Set<String> used = new HashSet<>();
  private final Map<String, OpDef> operations =
      TensorFlow.registeredOpList().getOpList().stream()
          .collect(Collectors.toMap(OpDef::getName, Function.identity()));

  private ModelInspection(SavedModelFolder folder) {
    this.folder = folder;
    this.model = folder.metaGraph();
    this.variables = SavedVariables.of(model);
  }

  static ModelInspection of(SavedModelFolder folder) {
    FunctionGradients.register();
    return new ModelInspection(folder);
  }

  ModelDescription describe() throws IOException {
    List<Signature> signatures = new ArrayList<>();
    folder.signatures().forEach((name, signature) -> signatures.add(describe(name, signature)));
    List<Variable> ofSignatures = new ArrayList<>();
    variables.forEach(
        (node, variable) -> {
          if (used.contains(node)) {
            ofSignatures.add(describe(variable));
          }
        });
    long all =
        model.getObjectGraphDef().getNodesList().stream()
            .filter(object -> object.getKindCase() == SavedObject.KindCase.VARIABLE)
            .count();
    int twins =
        (int)
            VariableTwins.of(model).pairs().stream()
                .map(VariableTwins.Pair::served)
                .filter(used::contains)
                .distinct()
                .count();
    return new ModelDescription(
        folder.path(),
        exporter(),
        KerasMasks.in(folder.path()),
        model.getMetaInfoDef().getTensorflowVersion(),
        signatures,
        ofSignatures,
        twins,
        (int) Math.max(0, all - ofSignatures.size() - twins),
        tables(),
        sizes(folder.assets()),
        sizes(folder.files()));
  }

  private Exporter exporter() {
    if (model.getObjectGraphDef().getNodesCount() == 0) {
      return Exporter.WITHOUT_OBJECTS;
    }
    SavedObject root = model.getObjectGraphDef().getNodes(0);
    if (root.getUserObject().getIdentifier().startsWith("_tf_keras_")
        && Files.exists(folder.path().resolve(KerasMasks.METADATA))) {
      return Exporter.KERAS_SAVE;
    }
    // The list that Keras's ExportArchive, and nothing else, keeps under this name.
    return root.getChildrenList().stream()
            .anyMatch(child -> child.getLocalName().equals("_misc_assets"))
        ? Exporter.KERAS_EXPORT
        : Exporter.SAVED_MODEL_SAVE;
  }

  private Signature describe(String name, SignatureDef signature) {
    List<ModelDescription.Tensor> inputs = tensors(signature.getInputsMap());
    List<ModelDescription.Tensor> outputs = tensors(signature.getOutputsMap());
    try {
      TrainableModel.requireDense(signature);
      if (TrainingSignature.of(name, signature).isPresent()) {
        return withOwnGradients(name, inputs, outputs);
      }
      FunctionChoice choice = FunctionChoice.of(model, name, operations, Optional.empty());
      FlatGraph flat = choice.flat();
      FlatGraph rewritten =
          GradientRewriter.rewrite(
              StatelessRandomness.rewrite(flat, model.getGraphDef(), operations),
              model,
              operations);
      List<String> handles = handles(flat.graphDef());
      List<Result> results = new ArrayList<>();
      for (ModelDescription.Tensor output : outputs) {
        results.add(result(output, choice, flat, rewritten, handles));
      }
      return new Signature(
          name,
          inputs,
          results,
          Optional.of(choice.mode()),
          choice.reason(),
          flat.graphDef().getNodeCount(),
          randomOperations(flat.graphDef()),
          Optional.empty());
    } catch (IllegalArgumentException | TensorFlowException e) {
      return new Signature(
          name,
          inputs,
          unexplained(outputs),
          Optional.empty(),
          "",
          0,
          Map.of(),
          Optional.of(ErrorLine.of(e)));
    }
  }

  private Signature withOwnGradients(
      String name, List<ModelDescription.Tensor> inputs, List<ModelDescription.Tensor> outputs) {
    FunctionChoice choice = FunctionChoice.asItIs(model, name, Optional.empty());
    GraphDef graph = choice.flat().graphDef();
    handles(graph);
    return new Signature(
        name,
        inputs,
        unexplained(outputs),
        Optional.of(choice.mode()),
        choice.reason(),
        graph.getNodeCount(),
        randomOperations(graph),
        Optional.empty());
  }

  private static List<Result> unexplained(List<ModelDescription.Tensor> outputs) {
    return outputs.stream()
        .map(output -> new Result(output, Optional.empty(), List.of(), false))
        .toList();
  }

  private List<String> handles(GraphDef flat) {
    List<String> handles = new ArrayList<>();
    for (NodeDef node : flat.getNodeList()) {
      if (node.getOp().equals("VarHandleOp")) {
        if (!variables.containsKey(node.getName())) {
          throw new IllegalArgumentException(
              "The model's object graph does not have the variable '" + node.getName() + "'");
        }
        used.add(node.getName());
        handles.add(node.getName());
      }
    }
    return handles;
  }

  private Result result(
      ModelDescription.Tensor output,
      FunctionChoice choice,
      FlatGraph flat,
      FlatGraph rewritten,
      List<String> handles) {
    List<String> trainable =
        handles.stream().filter(handle -> variables.get(handle).getTrainable()).toList();
    List<NodeDef> path = path(rewritten, choice.training().outputs().get(output.name()), trainable);
    Set<NodeDef> needed = new LinkedHashSet<>(path);
    choice.training().losses().forEach(loss -> needed.addAll(path(rewritten, loss, trainable)));
    List<UnusableGradient> unusable = new ArrayList<>();
    for (NodeDef node : needed) {
      TrustedGradients.objection(node)
          .ifPresent(
              reason -> unusable.add(new UnusableGradient(node.getOp(), node.getName(), reason)));
    }
    String prediction = choice.inference().outputs().get(output.name());
    return new Result(
        output,
        lastOperation(flat.graphDef(), flat.tensors().get(prediction)),
        unusable,
        unusable.isEmpty() && !path.isEmpty());
  }

  private static List<NodeDef> path(FlatGraph flat, String tensor, List<String> variables) {
    return GradientPaths.between(flat.graphDef(), flat.tensors().get(tensor), variables);
  }

  /** The type of the operation that a tensor's values come from. */
  static Optional<String> lastOperation(GraphDef flat, String tensor) {
    Map<String, NodeDef> nodes = Nodes.byName(flat.getNodeList());
    Set<String> met = new HashSet<>();
    String name = tensor;
    while (met.add(name)) {
      NodeDef node = nodes.get(Tensors.node(name));
      if (node == null) {
        return Optional.empty();
      }
      List<String> inputs = Tensors.inputs(node);
      int index = node.getOp().equals("IdentityN") ? Tensors.index(name) : 0;
      if (!PASSING.contains(node.getOp()) || index >= inputs.size()) {
        return Optional.of(node.getOp());
      }
      name = inputs.get(index);
    }
    return Optional.empty();
  }

  private Map<String, Integer> randomOperations(GraphDef flat) {
    Map<String, Integer> random = new TreeMap<>();
    for (NodeDef node : flat.getNodeList()) {
      OpDef operation = operations.get(node.getOp());
      boolean seeded =
          operation != null
              && operation.getIsStateful()
              && operation.getAttrList().stream().anyMatch(a -> a.getName().equals("seed2"));
      if (seeded || StatelessRandomness.isRandom(node)) {
        random.merge(node.getOp(), 1, Integer::sum);
      }
    }
    return random;
  }

  private static List<ModelDescription.Tensor> tensors(Map<String, TensorInfo> named) {
    List<ModelDescription.Tensor> tensors = new ArrayList<>();
    new TreeMap<>(named)
        .forEach(
            (name, info) ->
                tensors.add(
                    new ModelDescription.Tensor(
                        name, info.getDtype(), Shapes.of(info.getTensorShape()))));
    return tensors;
  }

  private static Variable describe(SavedVariable variable) {
    return new Variable(
        variable.getName(),
        variable.getDtype(),
        Shapes.of(variable.getShape()),
        variable.getTrainable());
  }

  private List<Table> tables() {
    return model.getGraphDef().getNodeList().stream()
        .filter(node -> node.containsAttr("key_dtype") && node.containsAttr("value_dtype"))
        .filter(node -> node.getOp().contains("Table") && node.getInputCount() == 0)
        .map(node -> new Table(node.getName(), type(node, "key_dtype"), type(node, "value_dtype")))
        .toList();
  }

  private static DataType type(NodeDef node, String attribute) {
    return node.getAttrOrDefault(attribute, AttrValue.getDefaultInstance()).getType();
  }

  private List<FileSize> sizes(List<Path> files) throws IOException {
    List<FileSize> sizes = new ArrayList<>();
    for (Path file : files) {
      sizes.add(new FileSize(file, Files.size(folder.path().resolve(file))));
    }
    return sizes;
  }
}
