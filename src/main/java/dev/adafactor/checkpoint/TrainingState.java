package dev.adafactor.checkpoint;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Layout.Option;
import dev.adafactor.checkpoint.Layout.Trained;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorKind;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.mesh.ClusterSession;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.savedmodel.VariableTree;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.TString;

/**
 * A model's variables and its optimizer's state in a session, to be written to files and put back.
 *
 * <p>The files are those of {@code tf.train.Checkpoint(model=model, optimizer=optimizer)}: Python
 * goes on from them, and Java from Python's. What tf_keras has no place for is beside it, under
 * keys that Python does not look at: state that is kept in a wider type than the variable's, and a
 * note of the caller's.
 */
public final class TrainingState {
  /** Begins the keys that Python does not look at. */
  private static final String OWN = "dev.adafactor/";

  static final String NOTE = OWN + "note";

  private final Session session;
  private final Adafactor adafactor;
  private final SpreadVariables spread;
  private final Layout layout;
  private final Cells places;
  private final Map<StateVariable, List<String>> trained;
  private final Map<String, Cell> cells = new LinkedHashMap<>();
  private final StateFiles files;
  private final Placeholder<TString> note;
  private final Placeholder<TInt64> saves;
  private final StateFiles.Writer writer;

  /**
   * Adds the operations that write.
   *
   * @param trained the variables that the optimizer trains; it has their state already
   * @param spread how it takes them
   * @param beside more variables that belong to the state, handles of {@code VarHandleOp}, each
   *     under a name of its own; Python does not look at them
   */
  public TrainingState(
      TrainableModel model,
      Adafactor adafactor,
      List<ModelVariable> trained,
      SpreadVariables spread,
      Map<String, Output<?>> beside) {
    this(
        model.session(),
        model.cluster().isPresent()
            ? new FilesOfThisProcess(model.session())
            : new FilesOfSession(model.session()),
        model.variableTree(),
        inOnePiece(model.variablesByObject(), spread),
        adafactor,
        trained.stream().map(variable -> inOnePiece(variable, spread)).toList(),
        spread,
        beside);
  }

  private TrainingState(
      Session session,
      StateFiles files,
      VariableTree tree,
      Map<Integer, StateVariable> variables,
      Adafactor adafactor,
      List<StateVariable> trained,
      SpreadVariables spread,
      Map<String, Output<?>> beside) {
    this.session = session;
    this.spread = spread;
    this.adafactor = adafactor;
    Ops tf = Ops.create(session.graph()).withSubScope("checkpoint");
    this.files = files;
    note = tf.placeholder(TString.class, Placeholder.shape(Shape.scalar()));
    saves = tf.placeholder(TInt64.class, Placeholder.shape(Shape.scalar()));
    List<StateVariable> ordered = ordered(tree, variables, trained);
    layout = layout(tree, variables, ordered);
    this.trained = withPaths(tree, variables, ordered);
    places = new Cells(tf, adafactor, variables, ordered, tf.identity(saves));
    layout.tensors().forEach((key, quantity) -> cells.put(key, places.cell(quantity)));
    layout
        .tensors()
        .forEach(
            (key, quantity) ->
                places.exact(quantity).ifPresent(cell -> cells.put(OWN + key, cell)));
    beside.forEach((name, variable) -> cells.put(OWN + name, cell(tf, variable)));
    writer = files.writer(tf, written(tf));
  }

  private static StateVariable inOnePiece(ModelVariable variable, SpreadVariables spread) {
    return new StateVariable.InOnePiece(variable, spread.trained(variable.handle()));
  }

  private static Map<Integer, StateVariable> inOnePiece(
      Map<Integer, ModelVariable> variables, SpreadVariables spread) {
    Map<Integer, StateVariable> all = new LinkedHashMap<>();
    variables.forEach((object, variable) -> all.put(object, inOnePiece(variable, spread)));
    return all;
  }

  /**
   * The state of any graph: of the variables that an optimizer trains, and of others that belong to
   * the model. Adds the operations that write.
   *
   * <p>A variable named {@code dense/kernel} is {@code model.dense.kernel} in Python, whatever
   * {@code model} is: a {@code tf.Module}, or with {@code layer_with_weights-0/kernel} a Keras
   * model. The optimizer's variables are in the order in which it came to know them; Python's is
   * that of {@code optimizer.build(variables)}.
   *
   * <p>A {@link ShardedVariable} is one variable there, with the state of one: what was written
   * under one mesh, or without, is put back under any other, or none. It is put together on the
   * mesh's first device to be written, and cut where it is read.
   *
   * @param session where the variables are
   * @param adafactor has the state of its variables already
   * @param others outputs of {@code VariableV2}, handles of {@code VarHandleOp}, or {@link
   *     ShardedVariable}s
   * @throws IllegalArgumentException if two variables have one name, or one is no variable
   */
  public static TrainingState of(
      Session session, Adafactor adafactor, List<? extends Operand<?>> others) {
    return of(session, new FilesOfSession(session), adafactor, others);
  }

  /**
   * The same for a session that other processes run. The files are this process's: values are sent
   * from and to where the variables are.
   *
   * @param session where the variables are
   * @param adafactor has the state of its variables already
   * @param others as of {@link #of(Session, Adafactor, List)}
   * @throws IllegalArgumentException if two variables have one name, or one is no variable
   */
  public static TrainingState of(
      ClusterSession session, Adafactor adafactor, List<? extends Operand<?>> others) {
    return of(session.session(), new FilesOfThisProcess(session.session()), adafactor, others);
  }

  private static TrainingState of(
      Session session, StateFiles files, Adafactor adafactor, List<? extends Operand<?>> others) {
    List<StateVariable> trained =
        adafactor.variables().stream().map(each -> StateVariable.of(each, true)).toList();
    List<StateVariable> variables = new ArrayList<>(trained);
    others.forEach(other -> variables.add(StateVariable.of(other, false)));
    Map<Integer, StateVariable> numbered = new LinkedHashMap<>();
    Map<String, Integer> named = new LinkedHashMap<>();
    for (StateVariable variable : variables) {
      numbered.put(numbered.size(), variable);
      if (named.put(variable.name(), named.size()) != null) {
        throw new IllegalArgumentException(
            "two variables are named '%s'; in a checkpoint they need names of their own"
                .formatted(variable.name()));
      }
    }
    return new TrainingState(
        session,
        files,
        VariableTree.ofNames(named),
        numbered,
        adafactor,
        trained,
        SpreadVariables.none(session.graph()),
        Map.of());
  }

  private static Cell cell(Ops tf, Output<?> handle) {
    RawVariable variable = new RawVariable(handle, Cell.type(handle));
    return Cell.resource(tf, variable, variable.read(tf).shape());
  }

  /** In the order in which tf_keras would build the optimizer. */
  private static List<StateVariable> ordered(
      VariableTree tree, Map<Integer, StateVariable> variables, List<StateVariable> trained) {
    Map<String, StateVariable> left = new LinkedHashMap<>();
    trained.forEach(variable -> left.put(variable.key(), variable));
    List<StateVariable> ordered = new ArrayList<>();
    for (int node : tree.trainable()) {
      StateVariable variable = variables.get(tree.nodes().get(node).variable().orElseThrow());
      StateVariable found = variable == null ? null : left.remove(variable.key());
      if (found != null) {
        ordered.add(found);
      }
    }
    ordered.addAll(left.values());
    return ordered;
  }

  private static Map<StateVariable, List<String>> withPaths(
      VariableTree tree, Map<Integer, StateVariable> variables, List<StateVariable> trained) {
    Map<String, List<String>> paths = new HashMap<>();
    tree.paths()
        .forEach(
            (node, path) -> {
              StateVariable variable =
                  variables.get(tree.nodes().get(node).variable().orElseThrow());
              paths.putIfAbsent(variable.key(), path);
            });
    Map<StateVariable, List<String>> found = new LinkedHashMap<>();
    trained.forEach(variable -> found.put(variable, paths.getOrDefault(variable.key(), List.of())));
    return Collections.unmodifiableMap(found);
  }

  private Layout layout(
      VariableTree tree, Map<Integer, StateVariable> variables, List<StateVariable> trained) {
    Map<Integer, String> names = new HashMap<>();
    variables.forEach((object, variable) -> names.put(object, variable.name()));
    Set<Option> options = EnumSet.noneOf(Option.class);
    if (adafactor.isSchedule()) {
      options.add(Option.SCHEDULE);
    }
    boolean averages =
        !trained.isEmpty()
            && adafactor.readSlot(trained.get(0).operand(), Adafactor.AVERAGE).isPresent();
    if (averages) {
      options.add(Option.AVERAGES);
    }
    return Layout.of(
        tree,
        names,
        trained.stream()
            .map(variable -> new Trained(variable.name(), variable.shape().numDimensions() >= 2))
            .toList(),
        options);
  }

  private Map<String, Operand<?>> written(Ops tf) {
    Map<String, Operand<?>> written = new LinkedHashMap<>();
    cells.forEach((key, cell) -> written.put(key, cell.value()));
    try (TString objects =
        TString.tensorOfBytes(NdArrays.scalarOfObject(layout.objects().toByteArray()))) {
      written.put(ObjectGraph.KEY, tf.constant(objects));
    }
    written.put(NOTE, tf.identity(note));
    return written;
  }

  /**
   * The model's variables that the optimizer trains, in the order of its state, and the attributes
   * that lead to each from the model; none where no attribute does.
   */
  public Map<ModelVariable, List<String>> trained() {
    Map<ModelVariable, List<String>> found = new LinkedHashMap<>();
    trained.forEach(
        (variable, path) -> {
          if (variable instanceof StateVariable.InOnePiece whole) {
            found.put(whole.variable(), path);
          }
        });
    return Collections.unmodifiableMap(found);
  }

  /**
   * Writes the state: {@code PREFIX.index} and {@code PREFIX.data-00000-of-00001}.
   *
   * @param text the caller's note
   * @param number what Python counts its checkpoints from, to give the next one its name
   * @throws IOException if the files cannot be written
   * @throws dev.adafactor.mesh.ClusterException if a process is lost that runs the session
   */
  public void save(Path prefix, String text, long number) throws IOException {
    try (TString content = TString.scalarOf(text);
        TInt64 count = TInt64.scalarOf(number)) {
      // Absolute: another process that runs the session may be in another folder.
      writer.write(
          prefix.toAbsolutePath(), runner -> runner.feed(note, content).feed(saves, count));
    } catch (TensorFlowException | TFInvalidArgumentException e) {
      throw ClusterSession.explain(session, e);
    }
  }

  /**
   * Puts back what was written. Everything is read and compared before anything is changed.
   *
   * @param prefix of the files, of Java's or of Python's
   * @param judge is asked before anything is changed
   * @throws IOException if a file is missing or damaged, or holds values that no job goes on from
   * @throws IllegalArgumentException if it is the state of another model or another optimizer; the
   *     message names the first differences
   * @throws dev.adafactor.mesh.ClusterException if a process is lost that runs the session
   */
  Restored restore(Path prefix, Extent extent, Content.Judge judge) throws IOException {
    TensorBundle bundle = TensorBundle.read(prefix);
    Map<String, TensorKind> given = bundle.tensors();
    Selection selection = selection(bundle);
    if (extent == Extent.ALL) {
      selection.requireModel(); // A job of another model differs in much else, too.
    }
    judge.accept(
        new Content(
            prefix,
            given.containsKey(NOTE)
                ? Optional.of(new String(bundle.string(NOTE), StandardCharsets.UTF_8))
                : Optional.empty(),
            selection.iterations()));
    Selection.Choice choice = selection.choose(extent);
    Restored restored = choice.restored();
    try {
      assign(prefix, choice, given);
      // The optimizer knows its rate, beside the variable that the graph reads.
      restored.learningRate().ifPresent(rate -> adafactor.setLearningRate(session, rate));
    } catch (TensorFlowException | TFInvalidArgumentException e) {
      throw ClusterSession.explain(session, e);
    }
    return restored;
  }

  /** What of a bundle belongs where. */
  Selection selection(TensorBundle bundle) throws IOException {
    return new Selection(layout, cells, OWN, bundle);
  }

  Layout layout() {
    return layout;
  }

  /** Where a tensor of the layout is. */
  Cell cell(String key) {
    return cells.get(key);
  }

  private void assign(Path prefix, Selection.Choice choice, Map<String, TensorKind> given)
      throws IOException {
    Map<String, Cell> sources = choice.sources();
    Ops tf = Ops.create(session.graph()).withSubScope("restore");
    Map<String, DataType> types = new LinkedHashMap<>();
    sources.keySet().forEach(key -> types.put(key, given.get(key).dtype()));
    StateFiles.Reader reader = files.reader(tf, types);
    List<Op> taken = new ArrayList<>();
    for (Cell cell : sources.values()) {
      taken.add(cell.assign(tf, reader.values().get(taken.size())));
    }
    reader.taking().run(prefix.toAbsolutePath(), taken);
    List<Op> started = new ArrayList<>();
    choice.freshAverages().forEach(variable -> started.add(places.startAverage(tf, variable)));
    session.run(spread.scatter(Group.of(tf, started)));
  }
}
