package dev.adafactor.savedmodel;

import dev.adafactor.graph.FunctionGradients;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;

/**
 * A SavedModel whose signature can be differentiated and trained.
 *
 * <p>A signature of a model that Python exported is a call of functions, through which TensorFlow's
 * C API builds no gradients. Loading adds a flat copy of the signature to the model's own graph:
 * the same operations without function calls, with handles that are the same variables. Add a loss
 * to {@link #outputs()}, minimize it with respect to the handles of {@link #variables()}, and run
 * the steps in {@link #session()}; call {@code session().initialize()} after the optimizer's
 * variables were added.
 *
 * <p>Not thread-safe while the graph is being extended.
 */
public final class TrainableModel implements AutoCloseable {
  private final SavedModelFolder folder;
  private final String signatureName;
  private final SavedModelBundle bundle;
  private final FlatGraph flat;
  private final String prefix;
  private final Map<String, Output<?>> inputs;
  private final Map<String, Output<?>> outputs;
  private final List<ModelVariable> variables;

  private TrainableModel(
      SavedModelFolder folder, String signatureName, SavedModelBundle bundle, FlatGraph flat) {
    this.folder = folder;
    this.signatureName = signatureName;
    this.bundle = bundle;
    this.flat = flat;
    this.prefix = freePrefix(folder);
    try {
      bundle.graph().importGraphDef(flat.graphDef(), prefix);
    } catch (TensorFlowException e) {
      throw new IllegalArgumentException(
          String.format(
              "The functions of signature '%s' do not fit together: %s",
              signatureName, SavedModelFolder.oneLine(e)),
          e);
    }
    SignatureDef signature = folder.signature(signatureName);
    this.inputs = tensors(signature.getInputsMap());
    this.outputs = tensors(signature.getOutputsMap());
    this.variables = findVariables();
  }

  /**
   * Loads a model with its variables, and prepares one of its signatures for training.
   *
   * @param savedModelDir the folder that holds {@code saved_model.pb}; it is only read
   * @param signatureName name of the signature, mostly {@code serving_default}
   * @throws IOException if a file is missing or damaged
   * @throws IllegalArgumentException if the model has no such signature, or the model is
   *     inconsistent
   */
  public static TrainableModel load(Path savedModelDir, String signatureName) throws IOException {
    SavedModelFolder folder = SavedModelFolder.read(savedModelDir);
    SignatureDef signature = folder.signature(signatureName);
    Set<String> tensors = new LinkedHashSet<>();
    signature.getInputsMap().forEach((name, info) -> tensors.add(tensor(name, info)));
    signature.getOutputsMap().forEach((name, info) -> tensors.add(tensor(name, info)));
    Map<String, OpDef> operations =
        TensorFlow.registeredOpList().getOpList().stream()
            .collect(Collectors.toMap(OpDef::getName, Function.identity()));
    FunctionGradients.register();
    FlatGraph flat =
        GradientRewriter.rewrite(
            StatelessRandomness.rewrite(
                FunctionFlattener.flatten(folder.metaGraph().getGraphDef(), operations, tensors)),
            folder.metaGraph(),
            operations);
    SavedModelBundle bundle = folder.open();
    try {
      return new TrainableModel(folder, signatureName, bundle, flat);
    } catch (RuntimeException e) {
      bundle.close();
      throw e;
    }
  }

  /** The model's own graph, with the flat copy of the signature in it. */
  public Graph graph() {
    return bundle.graph();
  }

  /** The model's own session, where its variables live. Closed with the model. */
  public Session session() {
    return bundle.session();
  }

  /** The placeholders to feed, by the names that the signature gives its inputs. */
  public Map<String, Output<?>> inputs() {
    return inputs;
  }

  /** The results, by the names that the signature gives its outputs. */
  public Map<String, Output<?>> outputs() {
    return outputs;
  }

  /**
   * The tensor, int64 of shape [2], that the signature's random numbers follow from: a seed and a
   * step. Fed with the same two numbers, a run draws the same random numbers; not fed, it draws
   * others each time. Empty if the signature draws none.
   */
  public Optional<Output<?>> randomness() {
    return flat.randomness().map(name -> graph().operationOrThrow(prefix + "/" + name).output(0));
  }

  /** The variables that the signature uses, in the model's own order. */
  public List<ModelVariable> variables() {
    return variables;
  }

  /**
   * The operations between the trainable variables and an output whose gradients cannot be used:
   * TensorFlow has none, has a wrong one, or has one that was not checked against Python's.
   *
   * @param outputName name of one of the {@link #outputs()}
   * @return empty if the output can be differentiated
   */
  public List<UnusableGradient> unusableGradients(String outputName) {
    List<UnusableGradient> unusable = new ArrayList<>();
    for (NodeDef node : gradientPath(outputName)) {
      TrustedGradients.objection(node)
          .ifPresent(
              reason -> unusable.add(new UnusableGradient(node.getOp(), node.getName(), reason)));
    }
    return List.copyOf(unusable);
  }

  /**
   * Makes sure that an output can be differentiated with respect to the trainable variables. To be
   * called before gradients are built: for some operations native code would compute a wrong
   * gradient, or end the process.
   *
   * @param outputName name of one of the {@link #outputs()}
   * @throws IllegalArgumentException if it cannot; the message names the operations
   */
  public void requireGradients(String outputName) {
    List<UnusableGradient> unusable = unusableGradients(outputName);
    if (!unusable.isEmpty()) {
      throw new IllegalArgumentException(
          String.format(
              "Output '%s' of signature '%s' cannot be trained: %s%s",
              outputName,
              signatureName,
              unusable.get(0),
              unusable.size() == 1
                  ? ""
                  : " (and "
                      + (unusable.size() - 1)
                      + " more: "
                      + unusable.stream()
                          .skip(1)
                          .limit(5)
                          .map(UnusableGradient::type)
                          .distinct()
                          .collect(Collectors.joining(", "))
                      + ")"));
    }
    if (gradientPath(outputName).isEmpty()) {
      throw new IllegalArgumentException(
          String.format(
              "Output '%s' of signature '%s' depends on no trainable variable",
              outputName, signatureName));
    }
  }

  List<NodeDef> gradientPath(String outputName) {
    TensorInfo output = folder.signature(signatureName).getOutputsMap().get(outputName);
    if (output == null) {
      throw new IllegalArgumentException(
          String.format(
              "Signature '%s' has no output '%s'; it has %s",
              signatureName, outputName, outputs.keySet()));
    }
    return GradientPaths.between(
        flat.graphDef(),
        flat.tensors().get(output.getName()),
        variables.stream()
            .filter(ModelVariable::trainable)
            .map(variable -> variable.handle().op().name().substring(prefix.length() + 1))
            .toList());
  }

  /**
   * Writes a copy of the model with the variables' present values: the input folder with all its
   * signatures, assets and metadata, so that Python loads it as it loaded the input. It appears at
   * the target as a whole or not at all.
   *
   * @param target the folder to write; it must not overlap with the input folder
   * @param existing what to do if the target is a folder that is not empty
   * @throws IllegalArgumentException if the target is not free
   * @throws IOException if writing fails
   */
  public void export(Path target, ExistingFolder existing) throws IOException {
    new SavedModelExport(folder.path(), session()).writeTo(target, existing);
  }

  /**
   * Checks what {@link #export} will check, so that hours of training are not lost to a folder that
   * is not free.
   *
   * @throws IllegalArgumentException if the target is not free
   */
  public void requireExportable(Path target, ExistingFolder existing) throws IOException {
    new SavedModelExport(folder.path(), session()).requireWritable(target, existing);
  }

  /** Frees the session and the graph, and with them the variables. */
  @Override
  public void close() {
    bundle.close();
  }

  static String tensor(String name, TensorInfo info) {
    if (info.getEncodingCase() != TensorInfo.EncodingCase.NAME) {
      throw new IllegalArgumentException(
          "'" + name + "' of the signature is a sparse or composite tensor; only dense ones work");
    }
    return info.getName();
  }

  private static String freePrefix(SavedModelFolder folder) {
    String prefix = "trainable";
    List<NodeDef> nodes = folder.metaGraph().getGraphDef().getNodeList();
    for (int i = 1; ; i++) {
      String scope = prefix;
      if (nodes.stream()
          .noneMatch(n -> n.getName().equals(scope) || n.getName().startsWith(scope + "/"))) {
        return prefix;
      }
      prefix = "trainable_" + i;
    }
  }

  private Map<String, Output<?>> tensors(Map<String, TensorInfo> named) {
    Map<String, Output<?>> tensors = new LinkedHashMap<>();
    new TreeMap<>(named)
        .forEach(
            (name, info) -> {
              String tensor = flat.tensors().get(info.getName());
              int colon = tensor.lastIndexOf(':');
              tensors.put(
                  name,
                  graph()
                      .operationOrThrow(prefix + "/" + tensor.substring(0, colon))
                      .output(Integer.parseInt(tensor.substring(colon + 1))));
            });
    return Collections.unmodifiableMap(tensors);
  }

  private List<ModelVariable> findVariables() {
    Map<String, NodeDef> handles = new LinkedHashMap<>();
    for (NodeDef node : flat.graphDef().getNodeList()) {
      if (node.getOp().equals("VarHandleOp") || node.getOp().startsWith("Variable")) {
        handles.put(node.getName(), node);
      }
    }
    List<ModelVariable> found = new ArrayList<>();
    SavedVariables.of(folder.metaGraph())
        .forEach(
            (name, variable) -> {
              NodeDef handle = handles.remove(name);
              if (handle != null) {
                found.add(variable(handle, variable));
              }
            });
    if (!handles.isEmpty()) {
      throw new IllegalArgumentException(
          String.format(
              "The model's object graph does not have the variables %s of signature '%s'; models"
                  + " written by TensorFlow 1 cannot be trained",
              handles.keySet(), signatureName));
    }
    return List.copyOf(found);
  }

  private ModelVariable variable(NodeDef handle, SavedVariable variable) {
    return new ModelVariable(
        variable.getName(),
        graph().operationOrThrow(prefix + "/" + handle.getName()).output(0),
        Tensors.shape(handle.getAttrOrThrow("shape").getShape()),
        handle.getAttrOrThrow("dtype").getType(),
        variable.getTrainable());
  }
}
