package dev.adafactor;

import dev.adafactor.graph.Gradients;
import dev.adafactor.graph.Names;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Slot;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.DataParallel;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reduction;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.LearningRateSchedule;
import dev.adafactor.schedules.ScheduleRegistry;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The optimizer {@code tf_keras.optimizers.Adafactor} (Shazeer &amp; Stern 2018, arXiv 1804.04235)
 * for TensorFlow Java's graph mode.
 *
 * <pre>{@code
 * Adafactor adafactor = Adafactor.builder(graph).learningRate(1e-3).weightDecay(0.004).build();
 * Op train = adafactor.minimize(loss);
 * try (Session session = new Session(graph)) {
 *   for (...) session.runner().feed(...).addTarget(train).run();
 *   session.run(adafactor.finalizeVariableValues());
 * }
 * }</pre>
 *
 * <p>With hundreds of variables {@code new Session(graph, SessionConfig.forTraining())} shortens
 * the first step by seconds: see {@link SessionConfig}.
 *
 * <p>One step with gradient g, for each variable w, where t counts the steps from 1:
 *
 * <pre>
 *   rho   = min(learning_rate, 1/√t)          beta2 = 1 − t^beta_2_decay
 *   alpha = max(epsilon_2, rms(w)) · rho
 *   rank ≥ 2:  r = beta2·r + (1−beta2)·mean(g² + epsilon_1, last axis)
 *              c = beta2·c + (1−beta2)·mean(g² + epsilon_1, last but one axis)
 *              v = (r / mean(r, last axis))[…, None] · c[…, None, :]
 *   rank &lt; 2:  v = beta2·v + (1−beta2)·(g² + epsilon_1)
 *   u = g / √v                                w = w − alpha · u / max(1, rms(u) / clip_threshold)
 * </pre>
 *
 * <p>Before it gradients are clipped and weights decay; after it follow moving averages and
 * constraints, all in tf_keras's order.
 *
 * <h2>Differences from tf_keras</h2>
 *
 * <ul>
 *   <li>For variables of rank ≥ 2 tf_keras keeps v, as large as the variable, and never reads it;
 *       here it is not kept. {@link #secondMoment} derives it.
 *   <li>The default numerics, {@link Numerics#STABLE}, is finite wherever the mathematics is and
 *       squares fit into float32 (float64 for float64): also where a dead row meets a dead column,
 *       for float16 and bfloat16 (state and computation are float32 then), for gradients of zero
 *       and for variables without elements. {@link Numerics#TF_KERAS} gives tf_keras's bits.
 *   <li>A variable that a later {@code applyGradients} brings gets its state then; tf_keras raises
 *       KeyError.
 *   <li>With {@code global_clipnorm} the variables may be of several types; tf_keras raises an
 *       error.
 *   <li>Arguments that are not finite (in float32, where tf_keras takes the way over it) are
 *       refused when they are set, also the few with which tf_keras trains; infinite {@code
 *       clip_threshold} and {@code clipvalue} are taken.
 *   <li>Configurations are read more strictly: a text, a list or an object is no number and no
 *       truth value, {@code ema_overwrite_frequency} is an integer of 32 bits also without {@code
 *       use_ema}, no key occurs twice, a serialized object has no unknown keys, and a class of
 *       another module or registered name is not taken for tf_keras's. But an integer or truth
 *       value may stand for any number, where tf_keras's schedules fail, and the name of the class
 *       alone says what is serialized.
 *   <li>A variable given twice to {@code applyGradients}, and a gradient that would have to be
 *       broadcast to its variable, are refused; tf_keras applies both.
 *   <li>{@link #setLearningRate} takes a number; tf_keras's setter takes a schedule too.
 *   <li>Regular expressions are Java's, with Python's {@code (?P<name>…)} and {@code \\Z}.
 *   <li>With {@code use_ema} a reference variable must have an initializer in the init scope, or be
 *       restored before the session's first run.
 *   <li>tf_keras's {@code mesh} fails for rank ≥ 2 and does not move averages; see "Several
 *       devices" for this one.
 *   <li>What tf_keras warns about in {@code minimize}, variables without a gradient, is logged
 *       through {@link System.Logger}.
 * </ul>
 *
 * <p>tf_keras's documentation says that variables "of dimension &gt; 2" are factored; its code, and
 * so this class, factors from rank 2 on. {@code relative_step} changes nothing there or here: rho
 * takes the minimum with 1/√t in any case.
 *
 * <p>State is kept, and the update computed, on the device that was asked for when the variable was
 * added ({@code Ops.withDevice}), wherever the gradient comes from. The count of steps and the
 * learning rate are where TensorFlow puts them.
 *
 * <h2>Several devices</h2>
 *
 * <p>With {@link Builder#mesh} the variables may be {@link ShardedVariable}s, beside others. State
 * is where the shards are, the update is computed there, and means and norms are of the whole: it
 * is that of a variable in one piece, to rounding, for every rank, layout and argument.
 *
 * <pre>{@code
 * Mesh mesh = Mesh.virtualCpus("x=2,y=2");    // or Mesh.parse("x=2,y=2", devices)
 * var w = ShardedVariable.create(tf, "w", new Layout(mesh, List.of("x", "y")), initialValue);
 * Adafactor adafactor = Adafactor.builder(graph).mesh(mesh).build();
 * Op train = adafactor.minimize(loss, List.of(w, bias));
 * try (Session session = new Session(graph, mesh.config())) { … }
 * }</pre>
 *
 * <ul>
 *   <li>Of the devices that have replicas of a shard the first, the owner, keeps the state and
 *       computes; the others get its bits. Moved between devices are the gradients of the other
 *       replicas, the sums of the factors r and c and of scalars, and what replicas get: the shard,
 *       or the rows that a sparse gradient names.
 *   <li>Gradients by a sharded variable come from {@link #computeGradients(Operand, List)}, in
 *       parts; {@link ShardedGradient#ofWhole} and {@link IndexedSlices#of} give others.
 *   <li>{@link #snapshot} and {@link #restore} take the whole: what was taken under one mesh can be
 *       put back under another, or without one.
 * </ul>
 *
 * <h2>Threads</h2>
 *
 * <p>Whatever adds operations (the builder, {@code minimize}, {@code applyGradients}, {@link
 * #secondMoment}, {@link #finalizeVariableValues}) is for one thread at a time, like the graph
 * itself. In one session
 *
 * <ul>
 *   <li>only one step may run at a time: two at once read the same state and overwrite each other's
 *       writes, the count of steps among them. Threads that share a session run their steps in
 *       {@code synchronized (session)}; {@link #setLearningRate}, {@link #snapshot} and {@link
 *       #restore} hold the session's monitor by themselves. Several sessions do not disturb each
 *       other.
 *   <li>inference may run beside steps, without the monitor, where the variables are resource
 *       variables: every read gives one variable as a step has left it, or as weight decay, a
 *       constraint or the overwriting by an average has in between; of two variables, or two reads,
 *       one can be a step ahead. What needs all of one step takes the monitor. So does what reads a
 *       variable that is written in parts, of which some can be a step ahead: a matrix whose
 *       gradient is sparse, and a variable of rank ≥ 2 that is larger than a quarter of {@link
 *       Builder#transientBytes} (with {@link Numerics#STABLE}, uncompiled, without a GPU).
 *   <li>inference on reference variables needs the monitor: TensorFlow reads their memory while a
 *       step writes it, and what is fetched of them can be that memory itself. So does what reads
 *       the slots, the count of steps and the learning rate, which are reference variables.
 * </ul>
 *
 * <p>{@link #statistics}, {@link #variables}, {@link #getSlot} and the like may be called by any
 * thread once the graph is built.
 */
public final class Adafactor extends Optimizer {

  /** The slot of the row factor, for rank ≥ 2. */
  public static final String R = "r";

  /** The slot of the column factor, for rank ≥ 2. */
  public static final String C = "c";

  /** The slot of the second moment, for rank &lt; 2. */
  public static final String V = "v";

  /** The slot of the moving average of the variable, with {@code use_ema}. */
  public static final String AVERAGE = "average";

  private static final System.Logger LOG = System.getLogger(Adafactor.class.getName());

  private final Settings settings;
  private final Sites sites;
  private final Variable<TInt64> iterations;
  private final LearningRate learningRate;
  private final KnownVariables known;

  /** Of the update that was added last for each variable. */
  private final Map<LogicalVariable, UpdateStatistics<?>> statistics = new HashMap<>();

  /** For the variables that were known when it was made; null before the first snapshot. */
  private StateTransfer transfer;

  /**
   * An optimizer with tf_keras's default for every argument.
   *
   * @param graph the graph of the variables
   */
  public Adafactor(Graph graph) {
    this(builder(graph));
  }

  private Adafactor(Builder builder) {
    this(builder.graph, builder.settings());
  }

  private Adafactor(Graph graph, Settings settings) {
    super(graph, scopeName(settings.config()));
    this.settings = settings;
    this.sites = Sites.of(graph, scopeName(settings.config()), settings.mesh());
    Ops init = sites.shared().ops().withInitScope();
    this.iterations = init.withName("iteration").variable(Shape.scalar(), TInt64.class);
    init.assign(iterations, init.constant(0L));
    this.learningRate =
        new LearningRate(settings.config().learningRate(), sites.shared().ops(), iterations);
    this.known = new KnownVariables(graph, sites, settings);
  }

  private static String scopeName(AdafactorConfig config) {
    return Names.sanitize(config.name() == null ? "optimizer" : config.name());
  }

  /** Whether the learning rate is a schedule, and not a number. */
  public boolean isSchedule() {
    return learningRate.isSchedule();
  }

  /**
   * Starts to set the arguments.
   *
   * @param graph the graph of the variables
   */
  public static Builder builder(Graph graph) {
    return new Builder(graph);
  }

  /**
   * Reads a configuration.
   *
   * @param graph the graph of the variables
   * @param json what tf_keras's {@code get_config()} or {@code serialize()} gives, as JSON
   * @return a builder with these arguments: exclusions, constraints and numerics are not in the
   *     JSON
   * @throws IllegalArgumentException if an argument is unknown, deprecated ({@code decay}), of the
   *     wrong type or impossible; {@code lr} is ignored with a warning, as in tf_keras
   */
  public static Builder fromConfig(Graph graph, String json) {
    return fromConfig(graph, json, ScheduleRegistry.standard());
  }

  /**
   * Reads a configuration whose learning rate may be a schedule of your own.
   *
   * @param graph the graph of the variables
   * @param json what tf_keras's {@code get_config()} or {@code serialize()} gives, as JSON
   * @param schedules those that the configuration may name
   * @return a builder with these arguments, as of {@link #fromConfig(Graph, String)}
   * @throws IllegalArgumentException if an argument is unknown, deprecated ({@code decay}), of the
   *     wrong type or impossible; {@code lr} is ignored with a warning, as in tf_keras
   */
  public static Builder fromConfig(Graph graph, String json, ScheduleRegistry schedules) {
    Builder builder = builder(graph);
    ConfigJson.read(json, schedules, builder);
    return builder;
  }

  /**
   * Adds the operations of a training step for the variables that the loss follows from.
   *
   * @param loss what to minimize; if it is no scalar, the sum of its elements
   * @return the step, a target to run
   * @throws IllegalArgumentException if the loss follows from no variable, or its gradient cannot
   *     be computed
   */
  @Override
  public Op minimize(Operand<?> loss) {
    return minimize(loss, getOptimizerName() + "-minimize");
  }

  /**
   * Adds the operations of a training step for the variables that the loss follows from.
   *
   * @param loss what to minimize; if it is no scalar, the sum of its elements
   * @param name of the step's operation
   * @return the step, a target to run
   * @throws IllegalArgumentException if the loss follows from no variable, or its gradient cannot
   *     be computed
   */
  @Override
  public Op minimize(Operand<?> loss, String name) {
    return apply(computeGradients(loss), name, List.of(loss));
  }

  /**
   * Adds the operations of a training step for some variables.
   *
   * @param loss what to minimize; if it is no scalar, the sum of its elements
   * @param variables outputs of {@code VariableV2}, handles of {@code VarHandleOp}, or {@link
   *     ShardedVariable}s; those that the loss does not follow from are left as they are, with a
   *     warning
   * @return the step, a target to run
   * @throws IllegalArgumentException if the loss follows from none of the variables, or its
   *     gradient cannot be computed
   */
  public Op minimize(Operand<?> loss, List<? extends Operand<?>> variables) {
    return apply(
        computeGradients(loss, variables), getOptimizerName() + "-minimize", List.of(loss));
  }

  /**
   * Adds the gradients of a loss by the variables of a floating type that it follows from,
   * reference and resource variables alike. Some may be sparse, as {@link
   * #computeGradients(Operand, List)} says.
   *
   * @param loss what to differentiate; if it is no scalar, the sum of its elements
   * @throws IllegalArgumentException if the loss follows from no variable, or its gradient cannot
   *     be computed
   */
  @Override
  public <T extends TType> List<GradAndVar<?>> computeGradients(Operand<?> loss) {
    List<Output<?>> variables = Gradients.of(graph, loss).trainableVariables();
    if (variables.isEmpty()) {
      throw new IllegalArgumentException(
          "the loss '" + loss.asOutput().name() + "' does not follow from any trainable variable");
    }
    return new ArrayList<>(computeGradients(loss, variables));
  }

  /**
   * Adds the gradients of a loss by some variables: what {@link #applyGradients} takes.
   *
   * <p>As in Python, the gradient of a variable that the loss follows from only by rows that are
   * gathered from it, such as an embedding, has these rows alone: {@code getGradient()} is of shape
   * {@code [k] + variable.shape[1:]} then, and {@link IndexedSlices#from} gives the indices with
   * it. Such a pair is not for other optimizers.
   *
   * <p>The gradients of a {@link DataParallel} are computed on its devices.
   *
   * @param loss what to differentiate; if it is no scalar, the sum of its elements
   * @param variables outputs of {@code VariableV2}, handles of {@code VarHandleOp}, or {@link
   *     ShardedVariable}s
   * @return a pair for each variable, in their order; the gradient is null where the loss does not
   *     follow from the variable
   * @throws IllegalArgumentException if the gradient cannot be computed
   */
  public List<GradAndVar<? extends TType>> computeGradients(
      Operand<?> loss, List<? extends Operand<?>> variables) {
    return new LossGradients(graph, known, sites.placement()).of(loss, variables);
  }

  /**
   * Adds the operations of a training step. It may be called several times, with different
   * variables: they share the iteration counter, and each variable its state.
   *
   * @param gradsAndVars gradients, each of its variable's shape and type, and variables, outputs of
   *     {@code VariableV2} or handles of {@code VarHandleOp}; a gradient that is null or closed
   *     means none, {@link IndexedSlices#of} makes a sparse one, and {@link ShardedGradient} that
   *     of a sharded variable. An empty list makes a step that does nothing.
   * @param name of the step's operation
   * @return the step, a target to run
   * @throws IllegalArgumentException if there are variables and none has a gradient, a variable is
   *     given twice or cannot be trained, a gradient has the wrong shape or type, or a sharded
   *     variable is of another mesh
   */
  @Override
  public Op applyGradients(List<GradAndVar<? extends TType>> gradsAndVars, String name) {
    return apply(gradsAndVars, name, List.of());
  }

  /**
   * @param first operations that read variables and must come before every write
   */
  private Op apply(
      List<? extends GradAndVar<? extends TType>> gradsAndVars, String name, List<Op> first) {
    if (gradsAndVars.isEmpty()) {
      return sites.ops().withName(Names.sanitize(name)).noOp();
    }
    List<LogicalGradient> all = gradsAndVars.stream().map(known::gradient).toList();
    requireDistinct(all);
    List<LogicalGradient> gradients = all.stream().filter(LogicalGradient::isPresent).toList();
    if (gradients.isEmpty()) {
      throw new IllegalArgumentException(
          "No gradients provided for any variable: " + names(all.stream()) + ".");
    }
    if (gradients.size() < all.size()) {
      LOG.log(
          Level.WARNING,
          "Gradients do not exist for variables {0} when minimizing the loss.",
          names(all.stream().filter(g -> !g.isPresent())));
    }
    // As in tf_keras, also those without a gradient get their state.
    all.forEach(gradient -> known.withState(gradient.variable()));
    List<Op> reads = new ArrayList<>(first);
    gradients.forEach(gradient -> gradient.parts().forEach(part -> reads.addAll(part.tensors())));
    TrainingStep step = new TrainingStep(settings, sites, iterations, learningRate, reads);
    Op last =
        step.of(
            gradients.stream()
                .map(g -> new TrainingStep.Trained(known.withState(g.variable()), g))
                .toList(),
            name);
    statistics.putAll(step.statistics());
    return last;
  }

  private static void requireDistinct(List<LogicalGradient> gradients) {
    Set<LogicalVariable> seen = new HashSet<>();
    for (LogicalGradient g : gradients) {
      if (!seen.add(g.variable())) {
        throw new IllegalArgumentException(
            "variable '" + g.variable().name() + "' is given twice; add its gradients up");
      }
    }
  }

  private static String names(Stream<LogicalGradient> gradients) {
    return gradients
        .map(g -> "'" + g.variable().name() + "'")
        .collect(Collectors.joining(", ", "[", "]"));
  }

  /** Not called: {@link #applyGradients} has all variables in view, as clipping must have them. */
  @Override
  protected <T extends TType> Op applyDense(Ops deps, Output<T> gradient, Output<T> variable) {
    throw new UnsupportedOperationException("updates are added by applyGradients");
  }

  /**
   * Adds the operation that sets the variables to their moving averages, as tf_keras does at the
   * end of {@code fit()}. Without {@code use_ema} it does nothing.
   *
   * @return a target to run after the last step
   */
  public Op finalizeVariableValues() {
    List<Op> writes = new ArrayList<>();
    if (settings.movingAverage().isPresent()) {
      known.all().forEach(each -> writes.addAll(each.overwriteByAverages(sites.placement())));
    }
    return sites.ops().withControlDependencies(writes).withName("finalize_variable_values").noOp();
  }

  /**
   * Changes the learning rate from the next step on.
   *
   * @param session of the optimizer's graph; its monitor is held meanwhile
   * @param rate the new learning rate
   * @throws IllegalStateException if the optimizer was made with a schedule
   * @throws IllegalArgumentException if the rate is not finite
   */
  public void setLearningRate(Session session, double rate) {
    learningRate.set(session, rate);
  }

  /** The number of steps taken, a scalar. */
  public Variable<TInt64> iterations() {
    return iterations;
  }

  /**
   * The learning rate, a scalar; of a schedule, that of the last step. Before the first step it is
   * the first rate of a {@link ConfigurableSchedule}, and 0 for other schedules.
   */
  public Variable<TFloat32> learningRate() {
    return learningRate.variable();
  }

  /**
   * The state of a variable.
   *
   * <p>With {@link Numerics#STABLE} the slots of a float16 or bfloat16 variable, except {@link
   * #AVERAGE}, are of float32.
   *
   * @param variable the output of a {@code VariableV2} or the handle of a {@code VarHandleOp}; of a
   *     {@link ShardedVariable} a shard, the first of its replicas (for the whole there is {@link
   *     #readSlot})
   * @param slotName {@link #R}, {@link #C}, {@link #V} or {@link #AVERAGE}
   * @return the slot, of the variable's shape or that shape without an axis; empty if the variable
   *     has no such slot or is unknown
   */
  @Override
  @SuppressWarnings("unchecked") // Documented: the slot can be wider than the variable.
  public <T extends TType> Optional<Variable<T>> getSlot(Output<T> variable, String slotName) {
    if (!VariableView.isVariable(variable.op())) {
      return Optional.empty();
    }
    return known
        .ofPart(variable)
        .map(part -> (Slot<?>) part.slots().get(slotName))
        .map(slot -> (Variable<T>) (Variable<?>) slot.variable());
  }

  /**
   * Adds the operations that read what {@link #getSlot} gives, also of a {@link ShardedVariable},
   * where it is put together.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @param slotName {@link #R}, {@link #C}, {@link #V} or {@link #AVERAGE}
   * @return empty if the variable has no such slot or is unknown
   */
  public Optional<Operand<? extends TNumber>> readSlot(Operand<?> variable, String slotName) {
    Placement placement = sites.placement();
    return known
        .find(variable)
        .filter(found -> found.slots().contains(slotName))
        .map(
            found ->
                found.slot(
                    placement.beside(found.parts().get(0).variable()).ops(), placement, slotName));
  }

  /**
   * Adds the operations that set what {@link #readSlot} gives.
   *
   * @param variable as for {@link #readSlot}
   * @param slotName {@link #R}, {@link #C}, {@link #V} or {@link #AVERAGE}
   * @param value of the slot's shape and type
   * @return a target to run
   * @throws IllegalArgumentException if the variable has no such slot or is unknown, or the value
   *     for a sharded one has another shape
   */
  public Op assignSlot(Operand<?> variable, String slotName, Operand<? extends TNumber> value) {
    return known
        .find(variable)
        .filter(found -> found.slots().contains(slotName))
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the optimizer has no slot '%s' for variable '%s'"
                        .formatted(slotName, known.of(variable).name())))
        .setSlot(sites.ops(), sites.placement(), slotName, value);
  }

  /**
   * Adds the operations that give tf_keras's {@code v} of a variable, of its shape and type. For
   * rank ≥ 2 it is derived from r and c; it is 0 until the variable has had its first gradient.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @throws IllegalArgumentException if the optimizer does not know the variable
   */
  public Operand<? extends TNumber> secondMoment(Operand<?> variable) {
    return known
        .find(variable)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the optimizer has no state for variable '" + known.of(variable).name() + "'"))
        .v(sites.placement());
  }

  /**
   * The numbers that the update of a variable comes by, such as its step size: operands of the
   * step's own graph, to which this adds nothing. Fetched in the run that does the step, they are
   * those of that step; a run that fetches them alone may do a part of the step, such as the weight
   * decay.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @throws IllegalArgumentException if no update of the variable has been added yet
   */
  public UpdateStatistics<?> statistics(Operand<?> variable) {
    LogicalVariable found = known.of(variable);
    UpdateStatistics<?> last = statistics.get(found);
    if (last == null) {
      throw new IllegalArgumentException(
          "the optimizer has no update of variable '"
              + found.name()
              + "': add one by minimize or applyGradients");
    }
    return last;
  }

  /**
   * Copies all that the next step follows from: the variables, their state, the number of steps and
   * the learning rate.
   *
   * <p>The first call adds operations to the graph, and so does the first after an {@code
   * applyGradients} that brought new variables.
   *
   * @param session of the optimizer's graph, in which no step is running; its monitor is held
   *     meanwhile
   * @throws IllegalArgumentException if two variables have one name, or one has 2 GiB or more
   */
  public Snapshot snapshot(Session session) {
    synchronized (session) {
      return transfer().take(session, isSchedule());
    }
  }

  /**
   * Puts back what {@link #snapshot} took, from this or another session, graph or optimizer: the
   * next step is the one that would have come next there. Variables are told by their names ({@link
   * Snapshot#renamed} changes them); arguments beside those that decide what is kept, as {@code
   * use_ema}, may be others. Operations are added as by {@link #snapshot}.
   *
   * @param session of the optimizer's graph, in which no step is running; its monitor is held
   *     meanwhile
   * @throws IllegalArgumentException if variables, shapes or types are not the same, or only one of
   *     the two has moving averages or a schedule; the message names the first differences, and
   *     nothing is changed
   */
  public void restore(Session session, Snapshot snapshot) {
    Objects.requireNonNull(snapshot, "snapshot");
    synchronized (session) {
      transfer().put(session, snapshot, isSchedule());
      learningRate.note(snapshot.learningRate());
    }
  }

  private synchronized StateTransfer transfer() {
    if (transfer == null || transfer.size() != known.all().size()) {
      transfer = new StateTransfer(sites.ops(), iterations, learningRate.variable(), known.all());
    }
    return transfer;
  }

  /**
   * The variables that it has state for, outputs of {@code VariableV2}, handles of {@code
   * VarHandleOp}, or {@link ShardedVariable}s, in the order in which it came to know them.
   */
  public List<Operand<?>> variables() {
    return known.all().stream().<Operand<?>>map(each -> each.variable().operand()).toList();
  }

  /**
   * Whether weight decay applies to a variable: there is some, and the variable is not excluded.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @throws IllegalArgumentException if it is none of them, or a shard
   */
  public boolean decays(Operand<?> variable) {
    LogicalVariable found = known.of(variable).requireWhole();
    return settings.weightDecay().filter(decay -> decay.applies(found)).isPresent();
  }

  /** How the update is computed. */
  public Numerics numerics() {
    return settings.config().numerics();
  }

  /**
   * tf_keras's {@code get_config()}, as JSON, which Python's {@code Adafactor.from_config} reads.
   * The learning rate is the one set last, in whatever session.
   *
   * @throws IllegalStateException if the learning rate is a schedule that is no {@link
   *     ConfigurableSchedule}
   */
  public String toJson() {
    return ConfigJson.write(settings.config(), learningRate.current(), settings.jitCompile());
  }

  /**
   * tf_keras's {@code serialize()}, as JSON: {@link #toJson} with the name of the class, which
   * Python's {@code tf_keras.saving.deserialize_keras_object} reads ({@code
   * tf_keras.optimizers.deserialize} makes a string of it, of its own as well).
   *
   * @throws IllegalStateException if the learning rate is a schedule that is no {@link
   *     ConfigurableSchedule}
   */
  public String serialize() {
    return ConfigJson.serialize(settings.config(), learningRate.current(), settings.jitCompile());
  }

  @Override
  public String toString() {
    return "Adafactor"
        + ConfigJson.describe(settings.config(), learningRate.current(), settings.jitCompile());
  }

  @Override
  public String getOptimizerName() {
    return scopeName(settings.config());
  }

  /** The arguments of an optimizer; those not set have tf_keras's defaults. */
  public static final class Builder {

    private final Graph graph;
    private LearningRateSchedule learningRate = new AdafactorConfig.Constant(0.001f);
    private double beta2Decay = -0.8;
    private double epsilon1 = 1e-30;
    private double epsilon2 = 1e-3;
    private double clipThreshold = 1.0;
    private boolean relativeStep = true;
    private OptionalDouble weightDecay = OptionalDouble.empty();
    private OptionalDouble clipnorm = OptionalDouble.empty();
    private OptionalDouble clipvalue = OptionalDouble.empty();
    private OptionalDouble globalClipnorm = OptionalDouble.empty();
    private boolean useEma;
    private double emaMomentum = 0.99;
    private OptionalInt emaOverwriteFrequency = OptionalInt.empty();
    private JitCompile jitCompile = JitCompile.WHERE_GPU;
    private String name = "Adafactor";
    private Numerics numerics = Numerics.STABLE;
    private long transientBytes = 16 << 20;
    private Set<String> excludedVariables = Set.of();
    private List<Pattern> excludedNames = List.of();
    private final Map<String, Constraint> constraints = new HashMap<>();
    private Optional<Mesh> mesh = Optional.empty();
    private Reduction reduction = Reductions.ADD_N;

    private Builder(Graph graph) {
      this.graph = Objects.requireNonNull(graph, "graph");
    }

    /**
     * Sets the learning rate; 0.001 if not set. {@link Adafactor#setLearningRate} can change it.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder learningRate(double learningRate) {
      new Argument("learning_rate", learningRate).requireFiniteFloat();
      this.learningRate = new AdafactorConfig.Constant((float) learningRate);
      return this;
    }

    /** Sets the learning rate to one that depends on the step. */
    public Builder learningRate(LearningRateSchedule schedule) {
      this.learningRate = Objects.requireNonNull(schedule, "schedule");
      return this;
    }

    /**
     * Sets the exponent of the decay of the second moment; -0.8 if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder beta2Decay(double beta2Decay) {
      new Argument("beta_2_decay", beta2Decay).requireFinite();
      this.beta2Decay = beta2Decay;
      return this;
    }

    /**
     * Sets what is added to the squared gradient; 1e-30 if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder epsilon1(double epsilon1) {
      new Argument("epsilon_1", epsilon1).requireFinite();
      this.epsilon1 = epsilon1;
      return this;
    }

    /**
     * Sets the least scale of a variable, in place of its rms; 0.001 if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder epsilon2(double epsilon2) {
      new Argument("epsilon_2", epsilon2).requireFiniteFloat();
      this.epsilon2 = epsilon2;
      return this;
    }

    /**
     * Sets the rms from which on an update is clipped; 1 if not set. Infinity clips nothing, 0
     * freezes the variables.
     *
     * @throws IllegalArgumentException if it is NaN
     */
    public Builder clipThreshold(double clipThreshold) {
      new Argument("clip_threshold", clipThreshold).requireNumber();
      this.clipThreshold = clipThreshold;
      return this;
    }

    /**
     * Sets tf_keras's {@code relative_step}; true if not set. It changes nothing, there or here.
     */
    public Builder relativeStep(boolean relativeStep) {
      this.relativeStep = relativeStep;
      return this;
    }

    /**
     * Sets the weight decay; none if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder weightDecay(double weightDecay) {
      new Argument("weight_decay", weightDecay).requireFiniteFloat();
      this.weightDecay = OptionalDouble.of(weightDecay);
      return this;
    }

    /**
     * Exempts the variables in whose {@code name:0} one of the regular expressions is found. Like
     * tf_keras's {@code exclude_from_weight_decay}, it replaces an earlier call.
     *
     * @throws IllegalArgumentException if a text is no regular expression
     */
    public Builder excludeFromWeightDecay(String... names) {
      return excludeFromWeightDecay(List.of(), names);
    }

    /**
     * Exempts variables from the weight decay, and those in whose {@code name:0} one of the regular
     * expressions is found. Like tf_keras's {@code exclude_from_weight_decay}, it replaces an
     * earlier call. A variable and its copy in shards are one.
     *
     * @throws IllegalArgumentException if an operand is no variable, or a shard, or a text no
     *     regular expression
     */
    public Builder excludeFromWeightDecay(List<? extends Operand<?>> variables, String... names) {
      this.excludedVariables = variables.stream().map(this::key).collect(Collectors.toSet());
      this.excludedNames = Stream.of(names).map(WeightDecay::compile).toList();
      return this;
    }

    /**
     * Clips each gradient to a norm; off if not set, 0 or negative.
     *
     * @throws IllegalArgumentException if it is not finite, or {@link #globalClipnorm} is set
     */
    public Builder clipnorm(double clipnorm) {
      new Argument("clipnorm", clipnorm).requireFinite();
      this.clipnorm = OptionalDouble.of(clipnorm);
      requireOneNorm();
      return this;
    }

    /**
     * Clips each element of each gradient to ±clipvalue; off if not set, 0 or negative, or if one
     * of the norms is on.
     *
     * @throws IllegalArgumentException if it is NaN
     */
    public Builder clipvalue(double clipvalue) {
      new Argument("clipvalue", clipvalue).requireNumber();
      this.clipvalue = OptionalDouble.of(clipvalue);
      return this;
    }

    /**
     * Clips all gradients together to a norm; off if not set, 0 or negative.
     *
     * @throws IllegalArgumentException if it is not finite, or {@link #clipnorm} is set
     */
    public Builder globalClipnorm(double globalClipnorm) {
      new Argument("global_clipnorm", globalClipnorm).requireFinite();
      this.globalClipnorm = OptionalDouble.of(globalClipnorm);
      requireOneNorm();
      return this;
    }

    /**
     * Sets whether moving averages of the variables are kept; false if not set.
     *
     * @throws IllegalArgumentException if the momentum or frequency set before is impossible
     */
    public Builder useEma(boolean useEma) {
      this.useEma = useEma;
      requireValidEma();
      return this;
    }

    /**
     * Sets the momentum of the moving averages; 0.99 if not set.
     *
     * @throws IllegalArgumentException if it is not finite, or outside [0, 1] with {@link #useEma}
     */
    public Builder emaMomentum(double emaMomentum) {
      new Argument("ema_momentum", emaMomentum).requireFinite();
      this.emaMomentum = emaMomentum;
      requireValidEma();
      return this;
    }

    /**
     * Sets after how many steps the averages replace the variables; never if not set, or 0.
     *
     * @throws IllegalArgumentException if it is negative, with {@link #useEma}
     */
    public Builder emaOverwriteFrequency(int emaOverwriteFrequency) {
      this.emaOverwriteFrequency = OptionalInt.of(emaOverwriteFrequency);
      requireValidEma();
      return this;
    }

    /**
     * Sets whether XLA compiles the update where there is a GPU, as tf_keras's argument; true if
     * not set.
     */
    public Builder jitCompile(boolean jitCompile) {
      return jitCompile(jitCompile ? JitCompile.WHERE_GPU : JitCompile.OFF);
    }

    /** Sets where XLA compiles the update. */
    public Builder jitCompile(JitCompile jitCompile) {
      this.jitCompile = Objects.requireNonNull(jitCompile, "jitCompile");
      return this;
    }

    /**
     * Sets the name, from which the operations have theirs: "Adafactor" if not set.
     *
     * @param name any text; what TensorFlow does not admit in names is replaced there
     */
    public Builder name(String name) {
      this.name = name;
      return this;
    }

    /**
     * Sets what a variable is mapped to after each step, as {@code tf.Variable}'s constraint. A
     * {@link ShardedVariable} is put together for it, on one device, and cut again. A variable and
     * its copy in shards are one.
     *
     * @throws IllegalArgumentException if the operand is no variable, or a shard
     */
    public Builder constraint(Operand<?> variable, Constraint constraint) {
      constraints.put(key(variable), Objects.requireNonNull(constraint, "constraint"));
      return this;
    }

    /** What tells the variable from others. */
    private String key(Operand<?> variable) {
      return LogicalVariable.of(graph, variable).requireWhole().key();
    }

    /**
     * Sets the mesh over which variables are sharded, tf_keras's {@code mesh}; none if not set.
     * State is kept, and the update computed, where the shards are; the count of steps and the
     * learning rate are on the mesh's first device. Nothing changes for variables that are no
     * {@link ShardedVariable}. Those need {@link Numerics#STABLE}, and are not compiled.
     */
    public Builder mesh(Mesh mesh) {
      this.mesh = Optional.of(mesh);
      return this;
    }

    /**
     * Sets how the sums over the shards of a {@link #mesh} are taken; {@link Reductions#ADD_N} if
     * not set.
     */
    public Builder reductions(Reduction reductions) {
      this.reduction = Objects.requireNonNull(reductions, "reductions");
      return this;
    }

    /** Sets which operations compute the update; {@link Numerics#STABLE} if not set. */
    public Builder numerics(Numerics numerics) {
      this.numerics = Objects.requireNonNull(numerics, "numerics");
      return this;
    }

    /**
     * Sets about how much memory the temporary tensors of an update may take, all together; 16 MiB
     * if not set. With more, variables are worked on in larger blocks, or in one; with less, a step
     * takes longer. It bounds {@link Numerics#STABLE} where the update is not compiled, for
     * float32, float64 and rank 2 and more, on each device for itself; weight decay, clipping and
     * averages have tensors as large as a variable beside it, and the row factor some of its own
     * size, which is much for long and narrow matrices. No block is smaller than a row. The rows of
     * a sparse gradient come on top of it where they take more, and are cut into blocks where their
     * number is known when the graph is built and the variable is a matrix. Where TensorFlow finds
     * a GPU no variable is cut into blocks.
     *
     * @throws IllegalArgumentException if it is less than 1 MiB
     */
    public Builder transientBytes(long transientBytes) {
      if (transientBytes < 1 << 20) {
        throw new IllegalArgumentException(
            "`transientBytes` must be at least 1048576 (1 MiB). Received: transientBytes="
                + transientBytes);
      }
      this.transientBytes = transientBytes;
      return this;
    }

    /**
     * Makes the optimizer: adds its iteration counter and learning rate to the graph.
     *
     * @throws IllegalArgumentException if the {@link #reductions} are not for the {@link #mesh}
     */
    public Adafactor build() {
      mesh.ifPresent(reduction::requireSoundOver);
      return new Adafactor(this);
    }

    private Settings settings() {
      return Settings.of(
          config(), excludedVariables, List.copyOf(excludedNames), constraints, mesh, reduction);
    }

    private AdafactorConfig config() {
      return new AdafactorConfig(
          learningRate,
          beta2Decay,
          epsilon1,
          epsilon2,
          clipThreshold,
          relativeStep,
          weightDecay,
          clipnorm,
          clipvalue,
          globalClipnorm,
          useEma,
          emaMomentum,
          emaOverwriteFrequency,
          jitCompile,
          name,
          numerics,
          transientBytes);
    }

    private void requireOneNorm() {
      if (clipnorm.isPresent() && globalClipnorm.isPresent()) {
        throw new IllegalArgumentException(
            "At most one of `clipnorm` and `global_clipnorm` can be set. Received: clipnorm="
                + clipnorm.getAsDouble()
                + ", global_clipnorm="
                + globalClipnorm.getAsDouble()
                + ".");
      }
    }

    private void requireValidEma() {
      if (!useEma) {
        return;
      }
      if (emaMomentum > 1 || emaMomentum < 0) {
        throw new IllegalArgumentException(
            "`ema_momentum` must be in the range [0, 1]. Received: ema_momentum=" + emaMomentum);
      }
      if (emaOverwriteFrequency.orElse(0) < 0) {
        throw new IllegalArgumentException(
            "`ema_overwrite_frequency` must be an integer > 1 or None. Received:"
                + " ema_overwrite_frequency="
                + emaOverwriteFrequency.getAsInt());
      }
    }
  }
}
