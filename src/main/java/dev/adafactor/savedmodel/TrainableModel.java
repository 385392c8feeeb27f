package dev.adafactor.savedmodel;

import dev.adafactor.graph.ErrorLine;
import dev.adafactor.graph.FunctionGradients;
import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.ClusterSession;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;

/**
 * A SavedModel whose signature can be differentiated and trained.
 *
 * <p>A signature of a model that Python exported is a call of functions, through which TensorFlow's
 * C API builds no gradients. Loading adds a flat copy to the model's own graph: the same operations
 * without function calls, with handles that are the same variables. Add a loss to the outputs of
 * {@link #training()} and to its other losses, minimize the sum with respect to the handles of
 * {@link #variables()}, and run the steps in {@link #session()}; call {@code
 * session().initialize()} after the optimizer's variables were added.
 *
 * <p>Not thread-safe while the graph is being extended.
 */
public final class TrainableModel implements AutoCloseable {
  /** Where the flat copy is. */
  private static final String SCOPE = "trainable";

  private static final Set<String> VARIABLES = Set.of("VarHandleOp", "Variable", "VariableV2");

  private final SavedModelFolder folder;
  private final FolderContent content;
  private final List<String> maskingLayers;
  private final String signatureName;
  private final ModelSession session;
  private final FunctionChoice choice;
  private final FlatCopy copy;
  private final Map<String, Output<?>> inputs;
  private final List<ModelVariable> variables;
  private final ModelFunction inference;
  private final ModelFunction training;
  private final Optional<ProvidedGradients> providedGradients;

  private TrainableModel(
      SavedModelFolder folder,
      FolderContent content,
      String signatureName,
      ModelSession session,
      FunctionChoice choice,
      FlatCopy copy,
      Optional<TrainingSignature> trainingSignature) {
    this.folder = folder;
    this.maskingLayers = List.copyOf(KerasMasks.in(folder.path()));
    this.content = content;
    this.signatureName = signatureName;
    this.session = session;
    this.choice = choice;
    this.copy = copy;
    this.inputs = copy.inputs(signature());
    this.variables = findVariables();
    String name = "signature '" + signatureName + "'";
    this.inference = copy.function(name, choice.inference());
    this.training =
        choice.training().equals(choice.inference())
            ? inference
            : copy.function("the training function for " + name, choice.training());
    this.providedGradients =
        trainingSignature.map(
            signature -> signature.gradients(inputs, inference.outputs(), variables));
  }

  /**
   * Loads a model with its variables, and prepares one of its signatures for training as it
   * predicts.
   *
   * @param savedModelDir the folder that holds {@code saved_model.pb}; it is only read
   * @param signatureName name of the signature, mostly {@code serving_default}
   * @throws IOException if a file is missing or damaged
   * @throws IllegalArgumentException if the model has no such signature, or the model is
   *     inconsistent
   */
  public static TrainableModel load(Path savedModelDir, String signatureName) throws IOException {
    return load(savedModelDir, signatureName, Optional.of(Mode.INFERENCE));
  }

  /**
   * Loads a model with its variables, and prepares one of its signatures for training.
   *
   * @param savedModelDir the folder that holds {@code saved_model.pb}; it is only read
   * @param signatureName name of the signature, mostly {@code serving_default}
   * @param wanted which of the model's functions to train; if empty, those for training where the
   *     model carries them
   * @throws IOException if a file is missing or damaged
   * @throws IllegalArgumentException if the model has no such signature or no function for the
   *     wanted mode, or is inconsistent
   */
  public static TrainableModel load(Path savedModelDir, String signatureName, Optional<Mode> wanted)
      throws IOException {
    return load(savedModelDir, signatureName, wanted, ConfigProto.getDefaultInstance());
  }

  /**
   * {@link #load(Path, String, Optional)}, in a session that has more than the usual devices.
   *
   * @param devices what the session is to be made with beside what training wants, such as {@link
   *     dev.adafactor.mesh.Mesh#config}
   */
  public static TrainableModel load(
      Path savedModelDir, String signatureName, Optional<Mode> wanted, ConfigProto devices)
      throws IOException {
    return open(
        savedModelDir, signatureName, wanted, folder -> new OwnSession(folder.open(devices)));
  }

  /**
   * {@link #load(Path, String, Optional)}, to be run by the processes of a cluster: the variables
   * are sent to the first of them. Files are read and written by this process alone.
   *
   * @param timeout the longest that a run of the session may take, as {@link ClusterSession#open}
   *     takes it
   * @throws IllegalArgumentException also if the processes were started as those of another cluster
   * @throws IOException also if the model's functions read files
   * @throws dev.adafactor.mesh.ClusterException if one of the processes gives no answer
   */
  public static TrainableModel load(
      Path savedModelDir,
      String signatureName,
      Optional<Mode> wanted,
      Cluster cluster,
      Duration timeout)
      throws IOException {
    return open(
        savedModelDir,
        signatureName,
        wanted,
        folder -> ModelOnCluster.open(folder, cluster, timeout));
  }

  private static TrainableModel open(
      Path savedModelDir, String signatureName, Optional<Mode> wanted, ModelSession.Opener opener)
      throws IOException {
    SavedModelFolder folder = SavedModelFolder.read(savedModelDir);
    FolderContent content = FolderContent.of(folder);
    SignatureDef signature = folder.signature(signatureName);
    requireDense(signature);
    Optional<TrainingSignature> trainingSignature = TrainingSignature.of(signatureName, signature);
    FunctionChoice choice;
    FlatGraph flat;
    if (trainingSignature.isPresent()) {
      choice = FunctionChoice.asItIs(folder.metaGraph(), signatureName, wanted);
      flat = choice.flat();
    } else {
      Map<String, OpDef> operations = operations();
      FunctionGradients.register();
      choice = FunctionChoice.of(folder.metaGraph(), signatureName, operations, wanted);
      flat =
          AnyDevice.of(
              GradientRewriter.rewrite(
                  StatelessRandomness.rewrite(
                      choice.flat(), folder.metaGraph().getGraphDef(), operations),
                  folder.metaGraph(),
                  operations),
              folder.metaGraph().getGraphDef());
    }
    ModelSession session = opener.open(folder);
    try {
      FlatCopy copy =
          trainingSignature.isPresent()
              ? FlatCopy.ofItself(flat, session.graph())
              : FlatCopy.add(flat, session.graph(), folder.metaGraph().getGraphDef(), SCOPE);
      return new TrainableModel(
          folder, content, signatureName, session, choice, copy, trainingSignature);
    } catch (TensorFlowException | TFInvalidArgumentException e) {
      session.close();
      throw new IllegalArgumentException(
          String.format(
              "The functions of signature '%s' do not fit together: %s",
              signatureName, ErrorLine.of(e)),
          e);
    } catch (RuntimeException e) {
      session.close();
      throw e;
    }
  }

  /** The model's own graph, with the flat copy of the signature in it. */
  public Graph graph() {
    return session.graph();
  }

  /** The model's own session, where its variables live. Closed with the model. */
  public Session session() {
    return session.session();
  }

  /** What runs {@link #session()}, if it is not this process. */
  public Optional<ClusterSession> cluster() {
    return session.cluster();
  }

  /** Which of the model's functions {@link #training()} is. */
  public Mode mode() {
    return choice.mode();
  }

  /** Why the {@link #mode()} is what it is, in a few words for the user. */
  public String modeReason() {
    return choice.reason();
  }

  /** The placeholders to feed, by the names that the signature gives its inputs. */
  public Map<String, Output<?>> inputs() {
    return inputs;
  }

  /** The signature as it predicts. */
  public ModelFunction inference() {
    return inference;
  }

  /** What a training step computes; in mode inference it is {@link #inference()}. */
  public ModelFunction training() {
    return training;
  }

  /**
   * Makes sure that an output of {@link #training()} can be differentiated, as {@link
   * ModelFunction#requireGradients} does.
   *
   * @throws IllegalArgumentException if it cannot; the message says whether inference would do
   */
  public void requireGradients(
      String outputName, Collection<ModelVariable> trained, UncheckedGradients unchecked) {
    try {
      training.requireGradients(outputName, trained, unchecked);
    } catch (IllegalArgumentException e) {
      if (training == inference
          || !inference.outputs().containsKey(outputName)
          || !inference.hasGradients(outputName, trained, unchecked)) {
        throw e;
      }
      throw new IllegalArgumentException(
          e.getMessage() + "; --mode inference trains the model as it predicts, which can be", e);
    }
  }

  /**
   * Whether {@link #training()} has {@link ModelFunction#losses()} that follow from the batch, as
   * those of {@code add_loss} do, and not from variables alone, as those of regularizers do.
   */
  public boolean hasLossesOfBatch() {
    Set<String> computed =
        GradientPaths.reachable(
            copy.flat().graphDef(), inputs.values().stream().map(copy::node).toList());
    return training.losses().stream().map(copy::node).anyMatch(computed::contains);
  }

  /**
   * The tensor, int64 of shape [2], that random numbers follow from: a seed and a step. Fed with
   * the same two numbers, a run draws the same random numbers; not fed, it draws others each time.
   * Empty if the functions draw none.
   */
  public Optional<Output<?>> randomness() {
    return copy.flat().randomness().map(name -> copy.operation(name).output(0));
  }

  /**
   * Has devices share the batches of training: adds to the graph what each computes of its part,
   * and the initializers of its variables.
   *
   * @param devices as {@code /device:CPU:1}; the model itself is that of the first. If none is
   *     given, or one, it is the only one, wherever TensorFlow computes
   * @throws IllegalArgumentException if the model cannot be trained so
   */
  public ModelTowers towers(List<String> devices) {
    Map<ModelVariable, Output<?>> own = new LinkedHashMap<>();
    variables.forEach(variable -> own.put(variable, variable.handle()));
    boolean isDivided = devices.size() > 1;
    Optional<String> first = isDivided ? Optional.of(devices.get(0)) : Optional.empty();
    ModelTower tower = new ModelTower(first, inputs, training, randomness(), own);
    if (!isDivided) {
      return new ModelTowers(graph(), List.of(tower), Set.of());
    }
    if (providedGradients.isPresent()) {
      throw new IllegalArgumentException(
          ("several devices cannot share a batch: the signature '%s' computes its own gradients, of"
                  + " all of it")
              .formatted(signatureName));
    }
    TowerCopies copies =
        new TowerCopies(folder.metaGraph(), signature(), copy, choice, variables, operations());
    List<ModelTower> towers = new ArrayList<>(List.of(tower));
    devices
        .subList(1, devices.size())
        .forEach(device -> towers.add(copies.on(device, SCOPE + "_tower_" + towers.size())));
    return new ModelTowers(graph(), towers, copies.averaged());
  }

  private SignatureDef signature() {
    return folder.signature(signatureName);
  }

  /** The operations that draw {@link #randomness() random numbers}, by their names in the model. */
  public List<String> randomOperations() {
    return StatelessRandomness.drawing(copy.flat());
  }

  /**
   * What the signature gives if it is the model's own for training, with loss and gradients. It is
   * used as it is: {@link #inference()} and {@link #training()} have its outputs, through which
   * nothing else can be differentiated.
   */
  public Optional<ProvidedGradients> providedGradients() {
    return providedGradients;
  }

  /**
   * The names of the Keras layers that mask positions of sequences, as far as the model tells.
   * Keras leaves masked positions out of loss and metrics.
   */
  public List<String> maskingLayers() {
    return maskingLayers;
  }

  /** The variables that the functions use, in the model's own order. */
  public List<ModelVariable> variables() {
    return variables;
  }

  /** The objects that lead to the model's variables, whether a signature uses them or not. */
  public VariableTree variableTree() {
    return VariableTree.of(folder.metaGraph().getObjectGraphDef());
  }

  /**
   * The model's variables, whether a signature uses them or not, by the index of their object in
   * {@link #variableTree()}.
   *
   * @throws IllegalArgumentException if a variable cannot be found in the graph
   */
  public Map<Integer, ModelVariable> variablesByObject() {
    SavedObjectGraph objects = folder.metaGraph().getObjectGraphDef();
    CapturedObjects captured = CapturedObjects.of(folder.metaGraph());
    Map<Integer, String> saved = SaverKeys.of(folder.metaGraph()).handlesByObject();
    Map<Integer, ModelVariable> found = new LinkedHashMap<>();
    for (VariableTree.Node node : variableTree().nodes()) {
      if (node.variable().isPresent()) {
        int object = node.variable().get();
        SavedVariable variable = objects.getNodes(object).getVariable();
        String handle =
            captured
                .tensor(object)
                .or(() -> Optional.ofNullable(saved.get(object)))
                .orElseThrow(
                    () ->
                        new IllegalArgumentException(
                            "The model's graph does not have the variable '%s', or has several of"
                                    .formatted(variable.getName())
                                + " that name"));
        found.put(
            object,
            new ModelVariable(
                variable.getName(),
                graph().operationOrThrow(Tensors.node(handle)).output(0),
                Shapes.of(variable.getShape()),
                variable.getDtype(),
                variable.getTrainable()));
      }
    }
    return found;
  }

  /**
   * The variables whose values {@link #export} writes: the model's, and those of what it holds
   * beside, as the optimizer that Keras has compiled it with. Handles of {@code VarHandleOp}, by
   * the keys of their values in the model's files.
   */
  public Map<String, Output<?>> savedVariables() {
    Map<String, Output<?>> found = new LinkedHashMap<>();
    SaverKeys.of(folder.metaGraph())
        .handles()
        .forEach((key, handle) -> found.put(key, graph().operationOrThrow(handle).output(0)));
    return Collections.unmodifiableMap(found);
  }

  /** The prefix of the files that the variables' values come from. */
  public Path values() {
    return folder.path().resolve(SavedModelFolder.VARIABLES);
  }

  /**
   * Writes a copy of the model with the variables' present values: the input folder with all its
   * signatures, assets and metadata, so that Python loads it as it loaded the input. It appears at
   * the target as a whole or not at all.
   *
   * @param target the folder to write; it must not overlap with the input folder
   * @param existing what to do if the target is a folder that is not empty
   * @throws IllegalArgumentException if the target is not free
   * @throws IOException if writing fails, or the input folder is not what it was when it was loaded
   */
  public void export(Path target, ExistingFolder existing) throws IOException {
    VariableTwins.of(folder.metaGraph()).update(session());
    new SavedModelExport(folder.path(), content, session).writeTo(target, existing);
  }

  /**
   * Checks what {@link #export} will check, so that hours of training are not lost to a folder that
   * is not free.
   *
   * @throws IllegalArgumentException if the target is not free
   */
  public void requireExportable(Path target, ExistingFolder existing) throws IOException {
    new SavedModelExport(folder.path(), content, session).requireWritable(target, existing);
  }

  /** Frees the session and the graph, and with them the variables. */
  @Override
  public void close() {
    session.close();
  }

  static void requireDense(SignatureDef signature) {
    Map<String, TensorInfo> tensors = new TreeMap<>(signature.getInputsMap());
    tensors.putAll(signature.getOutputsMap());
    tensors.forEach(
        (name, info) -> {
          if (info.getEncodingCase() != TensorInfo.EncodingCase.NAME) {
            throw new IllegalArgumentException(
                "'"
                    + name
                    + "' of the signature is a sparse or composite tensor; only dense ones work");
          }
        });
  }

  private static Map<String, OpDef> operations() {
    return TensorFlow.registeredOpList().getOpList().stream()
        .collect(Collectors.toMap(OpDef::getName, Function.identity()));
  }

  private List<ModelVariable> findVariables() {
    Map<String, NodeDef> handles = new LinkedHashMap<>();
    for (NodeDef node : copy.flat().graphDef().getNodeList()) {
      if (VARIABLES.contains(node.getOp())) {
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
        copy.operation(handle.getName()).output(0),
        Shapes.of(handle.getAttrOrThrow("shape").getShape()),
        handle.getAttrOrThrow("dtype").getType(),
        variable.getTrainable());
  }
}
