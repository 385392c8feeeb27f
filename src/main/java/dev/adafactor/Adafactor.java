package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Derivative;
import dev.adafactor.graph.Devices;
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
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TBool;
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

  private final AdafactorConfig config;
  private final boolean jitCompile;
  private final Optional<WeightDecay> weightDecay;
  private final Optional<MovingAverage> movingAverage;
  private final Map<LogicalVariable, Constraint> constraints;
  private final Optional<Mesh> mesh;
  private final Reduction reduction;
  private final UpdateRule rule;

  /** Where this optimizer's operations go: a name scope of its own. */
  private final Ops ops;

  /** The constants among them. */
  private final Constants constants;

  /** Those of the operations that variables have in common: on the first device of the mesh. */
  private final Constants shared;

  /** Where those go that work on one variable. */
  private final Placement placement;

  /** Where those of the initializers go. */
  private final Placement initializers;

  private final Variable<TInt64> iterations;
  private final Variable<TFloat32> learningRate;
  private final Placeholder<TFloat32> newLearningRate;
  private final Op setLearningRate;

  /** The variables that there is state for, in the order in which they came. */
  private final Map<LogicalVariable, KnownVariable> states = new LinkedHashMap<>();

  /** All that were met, by the operation of their output or handle. */
  private final Map<Operation, LogicalVariable> variables = new ConcurrentHashMap<>();

  /** Of the update that was added last for each variable. */
  private final Map<LogicalVariable, UpdateStatistics<?>> statistics = new HashMap<>();

  /** The number last set as learning rate; 0 with a schedule. */
  private volatile float rate;

  /** For the variables that were known when it was made; null before the first snapshot. */
  private StateTransfer transfer;

  /** Of the step that is being built: what runs when all gradients are known. */
  private Op gate;

  /** Of the step that is being built: how the variables are updated, for each device. */
  private Map<Constants, UpdateStep> steps;

  /** Of the step that is being built: how they are updated in pieces, for each device. */
  private Map<Constants, PiecewiseUpdateStep> piecewise;

  /** Of the step that is being built. */
  private SharedScalars scalars;

  /** Of the step that is being built: the learning rate as it is, not the relative step. */
  private Operand<TFloat32> stepRate;

  /** Of the step that is being built: whether the averages replace the variables. */
  private Operand<TBool> overwriteDue;

  /**
   * An optimizer with tf_keras's default for every argument.
   *
   * @param graph the graph of the variables
   */
  public Adafactor(Graph graph) {
    this(builder(graph));
  }

  private Adafactor(Builder builder) {
    this(builder, builder.config());
  }

  private Adafactor(Builder builder, AdafactorConfig config) {
    super(builder.graph, scopeName(config));
    this.config = config;
    this.jitCompile =
        config.jitCompile() == JitCompile.ALWAYS
            || (config.jitCompile() == JitCompile.WHERE_GPU && Devices.hasGpu());
    this.rate =
        config.learningRate() instanceof AdafactorConfig.Constant constant ? constant.value() : 0;
    this.rule = rule(config.numerics(), matrixOperations(jitCompile));
    this.weightDecay =
        config.weightDecay().isPresent()
            ? Optional.of(
                new WeightDecay(
                    config.weightDecay().getAsDouble(),
                    Set.copyOf(builder.excludedVariables),
                    List.copyOf(builder.excludedNames)))
            : Optional.empty();
    this.movingAverage =
        config.useEma()
            ? Optional.of(new MovingAverage(config.emaMomentum(), config.emaOverwriteFrequency()))
            : Optional.empty();
    this.constraints = Map.copyOf(builder.constraints);
    this.mesh = builder.mesh;
    this.reduction = builder.reduction;
    this.ops = Ops.create(graph).withSubScope(scopeName(config));

    this.constants = new Constants(ops);
    this.shared = mesh.map(grid -> new Constants(ops.withDevice(grid.device(0)))).orElse(constants);
    this.placement = new Placement(constants);
    this.initializers = new Placement(new Constants(ops.withInitScope()));
    Ops init = shared.ops().withInitScope();
    this.iterations = init.withName("iteration").variable(Shape.scalar(), TInt64.class);
    init.assign(iterations, init.constant(0L));
    this.learningRate =
        init.withName(isSchedule() ? "current_learning_rate" : "learning_rate")
            .variable(Shape.scalar(), TFloat32.class);
    init.assign(learningRate, firstRate(init));
    this.newLearningRate =
        shared.ops().placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
    this.setLearningRate = shared.ops().assign(learningRate, newLearningRate);
  }

  /** The rate before the first step; a user's own schedule may need what is fed with each step. */
  private Operand<TFloat32> firstRate(Ops init) {
    return config.learningRate() instanceof ConfigurableSchedule schedule
        ? schedule.learningRate(init, init.constant(0L))
        : init.constant(rate);
  }

  private static String scopeName(AdafactorConfig config) {
    return Names.sanitize(config.name() == null ? "optimizer" : config.name());
  }

  private static UpdateRule rule(Numerics numerics, MatrixOperations matrices) {
    return numerics == Numerics.TF_KERAS ? new TfKerasUpdate() : new StableUpdate(matrices);
  }

  private static MatrixOperations matrixOperations(boolean jitCompile) {
    return jitCompile || Devices.hasGpu() ? MatrixOperations.BROADCASTS : MatrixOperations.PRODUCTS;
  }

  /** The schedule's rate for this step. */
  private Operand<TFloat32> scheduledRate() {
    Operand<TFloat32> scheduled = config.learningRate().learningRate(shared.ops(), iterations);
    if (scheduled == null || !scheduled.shape().isCompatibleWith(Shape.scalar())) {
      throw new IllegalArgumentException(
          "the schedule of `learning_rate` must give a scalar. Received: "
              + (scheduled == null ? null : scheduled.asOutput()));
    }
    return scheduled;
  }

  /** Whether the learning rate is a schedule, and not a number. */
  public boolean isSchedule() {
    return !(config.learningRate() instanceof AdafactorConfig.Constant);
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
    List<Output<?>> outputs = new ArrayList<>();
    for (Operand<?> variable : variables) {
      sharded(variable)
          .ifPresentOrElse(
              found -> found.replicas().forEach(replica -> outputs.add(replica.output())),
              () -> outputs.add(variable.asOutput()));
    }
    Iterator<Optional<Derivative>> derivatives = derivatives(loss, outputs).iterator();
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>(variables.size());
    for (Operand<?> variable : variables) {
      Optional<VariableInShards> sharded = sharded(variable);
      pairs.add(
          sharded.isPresent()
              ? sharded.get().pair(placement, derivatives)
              : pair(derivatives.next(), variable.asOutput()));
    }
    return pairs;
  }

  private Optional<VariableInShards> sharded(Operand<?> variable) {
    boolean known =
        variable instanceof ShardedVariable<?> || variables.containsKey(variable.asOutput().op());
    return known && variable(variable) instanceof VariableInShards found
        ? Optional.of(found)
        : Optional.empty();
  }

  private List<Optional<Derivative>> derivatives(Operand<?> loss, List<Output<?>> variables) {
    return loss instanceof DataParallel<?> parts
        ? parts.derivatives(variables)
        : Gradients.of(graph, loss).with(variables);
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  private static GradAndVar<? extends TType> pair(
      Optional<Derivative> derivative, Output<?> variable) {
    Output<?> values = derivative.<Output<?>>map(Derivative::values).orElse(null);
    Optional<Operand<? extends TNumber>> indices = derivative.flatMap(Derivative::indices);
    return indices.isPresent()
        ? new IndexedSlices(values, indices.get()).of(variable)
        : new GradAndVar(values, variable);
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
      return ops.withName(Names.sanitize(name)).noOp();
    }
    List<LogicalGradient> all = gradsAndVars.stream().map(this::gradient).toList();
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
    createSlots(all.stream().<Output<? extends TType>>map(g -> g.variable().output()).toList());

    List<Op> before = new ArrayList<>(first);
    gradients.stream()
        .flatMap(gradient -> gradient.parts().stream())
        .forEach(
            g -> {
              before.add(g.values());
              if (g.indices() != null) {
                before.add(g.indices());
              }
            });
    // All gradients meet here: no variable changes before another's gradient has read it.
    gate = ops.withControlDependencies(before).noOp();

    List<Op> updates = new ArrayList<>();
    prepare(name).ifPresent(updates::add);
    List<List<GradientClipping.Placed>> values =
        gradients.stream().map(g -> g.parts().stream().map(this::placed).toList()).toList();
    List<List<Operand<? extends TNumber>>> clipped = GradientClipping.clip(shared, config, values);
    List<VariableTask> tasks = new ArrayList<>();
    for (int i = 0; i < gradients.size(); i++) {
      tasks.add(task(gradients.get(i), clipped.get(i)));
    }
    updates.addAll(update(tasks));
    return finish(updates, name);
  }

  /** The gradient where its variable is, in the type of the computation. */
  private GradientClipping.Placed placed(Gradient g) {
    Constants beside = placement.beside(g.variable());
    return new GradientClipping.Placed(
        beside, g.values(beside.ops(), rule.computeType(g.variable().type())));
  }

  private LogicalGradient gradient(GradAndVar<? extends TType> pair) {
    if (pair.getVariable() == null) {
      throw new IllegalArgumentException("a pair of gradient and variable has no variable");
    }
    LogicalVariable variable = variable(VariableGradient.variable(pair));
    return new LogicalGradient(variable, variable.gradient(placement, pair));
  }

  private LogicalVariable variable(Operand<?> variable) {
    return variables.computeIfAbsent(
        variable.asOutput().op(),
        op -> {
          LogicalVariable found = LogicalVariable.of(graph, variable);
          if (found instanceof VariableInShards sharded) {
            requireSharding(sharded);
          }
          return found;
        });
  }

  private void requireSharding(VariableInShards variable) {
    if (!mesh.equals(Optional.of(variable.layout().mesh()))) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded over the mesh %s, the optimizer has %s: give it the same by"
                  + " Adafactor.builder(graph).mesh(mesh)")
              .formatted(
                  variable.name(),
                  variable.layout().mesh().describe(),
                  mesh.map(Mesh::describe).orElse("none")));
    }
    if (config.numerics() == Numerics.TF_KERAS) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded: the bits of tf_keras depend on the order of its sums, which"
                  + " shards do not have; use Numerics.STABLE")
              .formatted(variable.name()));
    }
    if (config.jitCompile() == JitCompile.ALWAYS) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded: its update is of several devices, and XLA compiles for one;"
                  + " use JitCompile.WHERE_GPU or OFF")
              .formatted(variable.name()));
    }
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

  /** {@inheritDoc} */
  @Override
  protected void createSlots(List<Output<? extends TType>> variables) {
    for (Output<?> output : variables) {
      states.computeIfAbsent(
          variable(output),
          variable ->
              new KnownVariable(variable, variable.parts().stream().map(this::state).toList()));
    }
  }

  private VariableState state(VariableView<?> part) {
    return VariableState.create(
        initializers.beside(part), part, rule.computeType(part.type()), movingAverage.isPresent());
  }

  /** Adds what all variables share in a step: the learning rate and its kin. */
  @Override
  protected Optional<Op> prepare(String scopeName) {
    // The schedule's rate itself, not the variable read after it is set: Grappler moves a cast to a
    // narrower type before the read, where no control dependency holds it back.
    Operand<TFloat32> current = isSchedule() ? scheduledRate() : learningRate;
    Op rate = isSchedule() ? shared.ops().assign(learningRate, current) : learningRate;
    stepRate = current;
    scalars = new SharedScalars(shared, config, current, iterations);
    steps = new HashMap<>();
    piecewise = new HashMap<>();
    overwriteDue = movingAverage.map(average -> average.due(shared.ops(), iterations)).orElse(null);
    return Optional.of(rate);
  }

  /** For the variables of one device. */
  private UpdateStep updateStep(Constants beside) {
    // What is compiled is one program for each variable, and tf_keras's operations are its own.
    return jitCompile || !(rule instanceof StableUpdate)
        ? new WholeUpdateStep(beside, gate, rule, jitCompile, scalars)
        : piecewise(beside);
  }

  private PiecewiseUpdateStep piecewise(Constants beside) {
    return piecewise.computeIfAbsent(
        beside,
        key ->
            new PiecewiseUpdateStep(
                beside,
                (StableUpdate) rule,
                matrixOperations(jitCompile),
                scalars,
                gate,
                // GPUs are slow where they are given little at a time.
                Devices.hasGpu() ? Long.MAX_VALUE : config.transientBytes()));
  }

  /** {@inheritDoc} */
  @Override
  protected <T extends TType> Op applyDense(Ops deps, Output<T> gradient, Output<T> variable) {
    LogicalGradient g = gradient(new GradAndVar<>(gradient, variable));
    return update(
            List.of(task(g, g.parts().stream().map(this::placed).map(x -> x.gradient()).toList())))
        .get(0);
  }

  /**
   * The update that a variable needs.
   *
   * @param parts one for each of the variable's parts
   */
  private record VariableTask(KnownVariable known, List<UpdateTask> parts) {
    LogicalVariable variable() {
      return known.variable();
    }
  }

  /**
   * The update of a variable after its weight decay, which this adds.
   *
   * @param values of the gradient's parts
   */
  private VariableTask task(
      LogicalGradient gradient, List<? extends Operand<? extends TNumber>> values) {
    KnownVariable known = states.get(gradient.variable());
    List<UpdateTask> parts = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      VariableState state = known.parts().get(i);
      parts.add(
          new UpdateTask(
              state.variable(),
              state,
              values.get(i),
              gradient.parts().get(i).indices(placement.beside(state.variable()).ops()),
              decay(gradient.variable(), state.variable())));
    }
    return new VariableTask(known, parts);
  }

  /** The weight decay of a variable or shard; nothing where there is none. */
  private List<Op> decay(LogicalVariable variable, VariableView<?> part) {
    Constants beside = placement.beside(part);
    Ops gated = beside.ops().withControlDependencies(List.of(gate));
    return weightDecay
        .filter(decay -> decay.applies(variable))
        .map(decay -> List.of(decay.apply(beside, gated, part, stepRate)))
        .orElse(List.of());
  }

  /** Adds the updates of variables and of their state, and what follows them. */
  private List<Op> update(List<VariableTask> tasks) {
    Map<Constants, List<VariableTask>> byDevice = new LinkedHashMap<>();
    List<VariableTask> inShards = new ArrayList<>();
    List<ShardedUpdateStep.Task> shards = new ArrayList<>();
    for (VariableTask task : tasks) {
      if (task.variable() instanceof VariableInShards sharded) {
        inShards.add(task);
        shards.add(new ShardedUpdateStep.Task(sharded.layout(), task.parts()));
      } else {
        Constants beside = placement.beside(task.parts().get(0).variable());
        byDevice.computeIfAbsent(beside, key -> new ArrayList<>()).add(task);
      }
    }
    List<Op> all = new ArrayList<>();
    List<List<UpdateStep.Updated>> updatedShards = shardedUpdateStep().update(shards);
    for (int i = 0; i < inShards.size(); i++) {
      all.add(finished(inShards.get(i), updatedShards.get(i)));
    }
    byDevice.forEach(
        (beside, together) -> {
          List<UpdateStep.Updated> updated =
              steps
                  .computeIfAbsent(beside, this::updateStep)
                  .update(together.stream().map(task -> task.parts().get(0)).toList());
          for (int i = 0; i < together.size(); i++) {
            all.add(finished(together.get(i), List.of(updated.get(i))));
          }
        });
    return all;
  }

  private ShardedUpdateStep shardedUpdateStep() {
    return new ShardedUpdateStep(
        shared, reduction, scalars, task -> piecewise(placement.beside(task.variable())));
  }

  /**
   * Adds what follows the update of a variable.
   *
   * @param updated the updates of its parts
   * @return the last operation
   */
  private Op finished(VariableTask task, List<UpdateStep.Updated> updated) {
    statistics.put(task.variable(), updated.get(0).statistics());
    List<Op> written = new ArrayList<>();
    for (int i = 0; i < updated.size(); i++) {
      written.add(averaged(task.known().parts().get(i), updated.get(i).write()));
    }
    Constraint constraint = constraints.get(task.variable());
    List<Op> all = new ArrayList<>();
    if (constraint == null) {
      for (int i = 0; i < written.size(); i++) {
        all.add(task.variable().spread(placement, i, written.get(i), rows(task.parts().get(i))));
      }
    } else {
      all.add(
          constrained(task.known(), constraint, written, task.known().parts().get(0).variable()));
    }
    updated.forEach(each -> all.addAll(each.stateWrites()));
    Constants beside = placement.beside(task.parts().get(0).variable());
    return beside.ops().withControlDependencies(all).noOp();
  }

  /** Which rows of a variable an update and what follows it change; null for all. */
  private Operand<? extends TNumber> rows(UpdateTask task) {
    boolean overwritten = movingAverage.filter(MovingAverage::overwrites).isPresent();
    boolean alone = PiecewiseUpdateStep.writesRowsAlone(task);
    return alone && task.before().isEmpty() && !overwritten ? task.indices() : null;
  }

  /** Adds the moving average of a variable or shard; gives the last write to it. */
  private Op averaged(VariableState state, Op written) {
    return movingAverage.isPresent() ? averaged(state.variable(), state, written) : written;
  }

  private <T extends TNumber> Op averaged(
      VariableView<T> variable, VariableState state, Op written) {
    return movingAverage
        .orElseThrow()
        .apply(placement.beside(variable), variable, state.average(), written, overwriteDue);
  }

  /**
   * Adds the constraint of a variable. One in shards is put together for it.
   *
   * @param written the last writes to the parts
   * @param kind one of the parts
   */
  private <T extends TNumber> Op constrained(
      KnownVariable known, Constraint constraint, List<Op> written, VariableView<T> kind) {
    Ops tf = placement.beside(kind).ops();
    List<Operand<T>> values = new ArrayList<>();
    for (int i = 0; i < written.size(); i++) {
      VariableView<T> part = VariableView.typed(known.parts().get(i).variable());
      values.add(part.readAfter(placement.beside(part).ops(), written.get(i)));
    }
    Operand<T> whole = known.variable().join(tf, placement, Snapshot.Form.VALUE, values);
    return known.setValue(tf, placement, constraint.call(tf, whole));
  }

  /** Adds the count of the step behind all updates. */
  @Override
  protected Op finish(List<Op> updateOperations, String name) {
    List<Op> before = new ArrayList<>(updateOperations);
    // A variable without elements needs none of them, but its statistics are this step's, too.
    before.addAll(scalars.beforeCounting());
    Op updated = ops.withControlDependencies(before).noOp();
    Op counted =
        ops.withControlDependencies(List.of(updated)).assignAdd(iterations, ops.constant(1L));
    return ops.withControlDependencies(List.of(counted)).withName(Names.sanitize(name)).noOp();
  }

  /**
   * Adds the operation that sets the variables to their moving averages, as tf_keras does at the
   * end of {@code fit()}. Without {@code use_ema} it does nothing.
   *
   * @return a target to run after the last step
   */
  public Op finalizeVariableValues() {
    List<Op> writes = new ArrayList<>();
    if (movingAverage.isPresent()) {
      for (KnownVariable known : states.values()) {
        for (int i = 0; i < known.parts().size(); i++) {
          VariableState part = known.parts().get(i);
          writes.add(known.variable().spread(placement, i, overwrite(part.variable(), part), null));
        }
      }
    }
    return ops.withControlDependencies(writes).withName("finalize_variable_values").noOp();
  }

  private <T extends TNumber> Op overwrite(VariableView<T> variable, VariableState state) {
    // A copy: a resource variable would share the memory of the average.
    Ops tf = placement.beside(variable).ops();
    return variable.assign(tf, tf.deepCopy(state.<T>average().read()));
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
    if (isSchedule()) {
      throw new IllegalStateException(
          "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate`"
              + " constructor argument, hence its learning rate is not settable. If you need the"
              + " learning rate to be settable, you should instantiate the optimizer with a float"
              + " `learning_rate` argument.");
    }
    Builder.requireFiniteFloat("learning_rate", rate);
    try (TFloat32 value = TFloat32.scalarOf((float) rate)) {
      synchronized (session) {
        session.runner().feed(newLearningRate, value).addTarget(setLearningRate).run();
        this.rate = (float) rate;
      }
    }
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
    return learningRate;
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
    LogicalVariable plain = variable(variable);
    return Optional.ofNullable(states.get(plain))
        .or(() -> shardedWith(plain.parts().get(0)))
        .flatMap(
            known ->
                known.parts().stream()
                    .filter(part -> part.variable().equals(plain.parts().get(0)))
                    .findFirst())
        .map(part -> (Slot<?>) part.slots().get(slotName))
        .map(slot -> (Variable<T>) (Variable<?>) slot.variable());
  }

  private Optional<KnownVariable> shardedWith(VariableView<?> shard) {
    return states.values().stream()
        .filter(known -> known.variable().parts().contains(shard))
        .findFirst();
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
    return Optional.ofNullable(states.get(variable(variable)))
        .filter(known -> known.slots().contains(slotName))
        .map(
            known ->
                known.slot(
                    placement.beside(known.parts().get(0).variable()).ops(), placement, slotName));
  }

  /**
   * Adds the operations that set what {@link #readSlot} gives.
   *
   * @param variable as for {@link #readSlot}
   * @param slotName {@link #R}, {@link #C}, {@link #V} or {@link #AVERAGE}
   * @param value of the slot's shape and type
   * @return a target to run
   * @throws IllegalArgumentException if the variable has no such slot or is unknown
   */
  public Op assignSlot(Operand<?> variable, String slotName, Operand<? extends TNumber> value) {
    LogicalVariable found = variable(variable);
    KnownVariable known = states.get(found);
    if (known == null || !known.slots().contains(slotName)) {
      throw new IllegalArgumentException(
          "the optimizer has no slot '%s' for variable '%s'".formatted(slotName, found.name()));
    }
    return known.setSlot(ops, placement, slotName, value);
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
    LogicalVariable found = variable(variable);
    KnownVariable known = states.get(found);
    if (known == null) {
      throw new IllegalArgumentException(
          "the optimizer has no state for variable '" + found.name() + "'");
    }
    return known.v(placement);
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
    LogicalVariable found = variable(variable);
    UpdateStatistics<?> known = statistics.get(found);
    if (known == null) {
      throw new IllegalArgumentException(
          "the optimizer has no update of variable '"
              + found.name()
              + "': add one by minimize or applyGradients");
    }
    return known;
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
      if (!isSchedule()) {
        this.rate = snapshot.learningRate();
      }
    }
  }

  private synchronized StateTransfer transfer() {
    if (transfer == null || transfer.size() != states.size()) {
      transfer = new StateTransfer(ops, iterations, learningRate, states.values());
    }
    return transfer;
  }

  /**
   * The variables that it has state for, outputs of {@code VariableV2}, handles of {@code
   * VarHandleOp}, or the wholes of sharded variables, in the order in which it came to know them.
   */
  public List<Output<?>> variables() {
    return states.keySet().stream().<Output<?>>map(LogicalVariable::output).toList();
  }

  /**
   * Whether weight decay applies to a variable: there is some, and the variable is not excluded.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   */
  public boolean decays(Operand<?> variable) {
    return weightDecay.filter(decay -> decay.applies(variable(variable))).isPresent();
  }

  /** How the update is computed. */
  public Numerics numerics() {
    return config.numerics();
  }

  /**
   * tf_keras's {@code get_config()}, as JSON, which Python's {@code Adafactor.from_config} reads.
   * The learning rate is the one set last, in whatever session.
   *
   * @throws IllegalStateException if the learning rate is a schedule that is no {@link
   *     ConfigurableSchedule}
   */
  public String toJson() {
    return ConfigJson.write(config, currentLearningRate(), jitCompile);
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
    return ConfigJson.serialize(config, currentLearningRate(), jitCompile);
  }

  @Override
  public String toString() {
    return "Adafactor" + ConfigJson.describe(config, currentLearningRate(), jitCompile);
  }

  private LearningRateSchedule currentLearningRate() {
    return isSchedule() ? config.learningRate() : new AdafactorConfig.Constant(rate);
  }

  @Override
  public String getOptimizerName() {
    return scopeName(config);
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
    private List<LogicalVariable> excludedVariables = List.of();
    private List<Pattern> excludedNames = List.of();
    private final Map<LogicalVariable, Constraint> constraints = new HashMap<>();
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
      requireFiniteFloat("learning_rate", learningRate);
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
      requireFinite("beta_2_decay", beta2Decay);
      this.beta2Decay = beta2Decay;
      return this;
    }

    /**
     * Sets what is added to the squared gradient; 1e-30 if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder epsilon1(double epsilon1) {
      requireFinite("epsilon_1", epsilon1);
      this.epsilon1 = epsilon1;
      return this;
    }

    /**
     * Sets the least scale of a variable, in place of its rms; 0.001 if not set.
     *
     * @throws IllegalArgumentException if it is not finite
     */
    public Builder epsilon2(double epsilon2) {
      requireFiniteFloat("epsilon_2", epsilon2);
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
      requireNumber("clip_threshold", clipThreshold);
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
      requireFiniteFloat("weight_decay", weightDecay);
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
     * earlier call.
     *
     * @throws IllegalArgumentException if an operand is no variable, or a text no regular
     *     expression
     */
    public Builder excludeFromWeightDecay(List<? extends Operand<?>> variables, String... names) {
      this.excludedVariables = variables.stream().map(v -> LogicalVariable.of(graph, v)).toList();
      this.excludedNames = Stream.of(names).map(WeightDecay::compile).toList();
      return this;
    }

    /**
     * Clips each gradient to a norm; off if not set, 0 or negative.
     *
     * @throws IllegalArgumentException if it is not finite, or {@link #globalClipnorm} is set
     */
    public Builder clipnorm(double clipnorm) {
      requireFinite("clipnorm", clipnorm);
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
      requireNumber("clipvalue", clipvalue);
      this.clipvalue = OptionalDouble.of(clipvalue);
      return this;
    }

    /**
     * Clips all gradients together to a norm; off if not set, 0 or negative.
     *
     * @throws IllegalArgumentException if it is not finite, or {@link #clipnorm} is set
     */
    public Builder globalClipnorm(double globalClipnorm) {
      requireFinite("global_clipnorm", globalClipnorm);
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
      requireFinite("ema_momentum", emaMomentum);
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
     * {@link ShardedVariable} is put together for it, on one device, and cut again.
     *
     * @throws IllegalArgumentException if the operand is no variable
     */
    public Builder constraint(Operand<?> variable, Constraint constraint) {
      constraints.put(
          LogicalVariable.of(graph, variable), Objects.requireNonNull(constraint, "constraint"));
      return this;
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

    private static void requireFinite(String argument, double value) {
      if (!Double.isFinite(value)) {
        throw new IllegalArgumentException(
            "`" + argument + "` must be a finite number. Received: " + argument + "=" + value);
      }
    }

    /** For what goes through float32, as in tf_keras. */
    private static void requireFiniteFloat(String argument, double value) {
      requireFinite(argument, value);
      if (!Float.isFinite((float) value)) {
        throw new IllegalArgumentException(
            "`" + argument + "` must fit into float32. Received: " + argument + "=" + value);
      }
    }

    private static void requireNumber(String argument, double value) {
      if (Double.isNaN(value)) {
        throw new IllegalArgumentException(
            "`" + argument + "` must be a number. Received: " + argument + "=" + value);
      }
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
