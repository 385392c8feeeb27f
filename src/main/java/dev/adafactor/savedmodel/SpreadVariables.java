package dev.adafactor.savedmodel;

import dev.adafactor.IndexedSlices;
import dev.adafactor.ShardedGradient;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * Variables of a model spread over a mesh: an optimizer trains the shards, and the model's
 * functions go on reading wholes, the model's own variables and the copies of {@link ModelTowers}.
 *
 * <p>What changes the shards, or trains the model's own variables, is followed by {@link #gather},
 * what changes the model's variables otherwise by {@link #scatter}: all are always of the same
 * value.
 *
 * <pre>{@code
 * Mesh mesh = Mesh.virtualCpus("x=2,y=2");
 * try (TrainableModel model = TrainableModel.load(folder, "serving_default", Optional.empty(), mesh.config())) {
 *   List<ModelVariable> trained = model.variables().stream().filter(ModelVariable::trainable).toList();
 *   SpreadVariables spread = SpreadVariables.over(mesh, model.graph(), trained);
 *   Adafactor adafactor = Adafactor.builder(model.graph()).mesh(mesh).build();
 *   var gradients = adafactor.computeGradients(loss, trained.stream().map(ModelVariable::handle).toList());
 *   Op update = adafactor.applyGradients(gradients.stream().map(spread::pair).toList(), "train");
 *   Op train = spread.gather(update);
 *   model.session().initialize();
 *   for (...) model.session().runner().feed(...).addTarget(train).run();
 *   model.session().run(spread.gather(adafactor.finalizeVariableValues()));
 * }
 * }</pre>
 *
 * <p>Whose model is to read the shards themselves, and not a whole, builds it of {@link
 * ShardedVariable#copyOf}.
 */
public final class SpreadVariables {

  /** A variable and its shards. */
  private record Spread<T extends TNumber>(RawVariable whole, ShardedVariable<T> shards) {

    static Spread<?> of(Ops tf, ModelVariable variable, Mesh mesh) {
      return new Spread<>(
          new RawVariable(variable.handle(), variable.dtype()),
          ShardedVariable.copyOf(tf, variable.handle(), Layout.ofMatrices(mesh, variable.shape())));
    }

    Op gather(Ops tf) {
      Operand<T> value = shards.read(tf);
      // What is in one piece is not put together anew: the whole would share the piece's memory.
      return whole.assign(tf, shards.layout().shards().size() == 1 ? tf.deepCopy(value) : value);
    }

    @SuppressWarnings("unchecked") // The shards are of the variable's type.
    Op scatter(Ops tf) {
      return shards.assign(tf, (Output<T>) whole.read(tf));
    }
  }

  private final Ops tf;

  /** By the variables' keys. */
  private final Map<String, Spread<?>> all;

  private final Optional<ModelTowers> towers;

  /** The keys of the variables that are trained. */
  private final Set<String> trained;

  private SpreadVariables(
      Ops tf, Map<String, Spread<?>> all, Optional<ModelTowers> towers, Set<String> trained) {
    this.tf = tf;
    this.all = all;
    this.towers = towers;
    this.trained = trained;
  }

  /** No variable is spread. */
  public static SpreadVariables none(Graph graph) {
    return new SpreadVariables(Ops.create(graph), Map.of(), Optional.empty(), Set.of());
  }

  /**
   * Adds the shards to the graph, and the initializers that give them the variables' values.
   *
   * @param variables of floating types and fully known shapes; they are laid out as {@link
   *     Layout#ofMatrices} says
   */
  public static SpreadVariables over(Mesh mesh, Graph graph, List<ModelVariable> variables) {
    Ops tf = Ops.create(graph).withSubScope("spread");
    Map<String, Spread<?>> all = new LinkedHashMap<>();
    for (ModelVariable variable : variables) {
      all.computeIfAbsent(variable.key(), key -> Spread.of(tf, variable, mesh));
    }
    return new SpreadVariables(tf, all, Optional.empty(), Set.of());
  }

  /**
   * The same variables, with copies for devices that compute with them.
   *
   * @param variables those that are trained
   * @throws IllegalArgumentException if one of them is {@linkplain ModelTowers#averaged averaged}
   *     besides
   */
  public SpreadVariables with(ModelTowers copies, List<ModelVariable> variables) {
    Set<String> keys = variables.stream().map(ModelVariable::key).collect(Collectors.toSet());
    for (ModelVariable averaged : copies.averaged()) {
      if (keys.contains(averaged.key())) {
        throw new IllegalArgumentException(
            ("several devices cannot share a batch: the model changes its variable '%s' in a step"
                    + " that trains it, too; freeze it (--freeze) to leave it to the model")
                .formatted(averaged.name()));
      }
    }
    return new SpreadVariables(tf, all, Optional.of(copies), keys);
  }

  /**
   * What an optimizer takes as a variable.
   *
   * @param handle of the model's variable
   * @return the {@link ShardedVariable}, or the handle itself if the variable is not spread
   */
  public Operand<?> trained(Output<?> handle) {
    Spread<?> spread = all.get(VariableView.key(handle));
    return spread == null ? handle : spread.shards();
  }

  /**
   * What an optimizer takes as a gradient.
   *
   * @param pair of a gradient by the model's variable, sparse or not, and its handle
   * @return the same for the {@link ShardedVariable}, or the pair itself if the variable is not
   *     spread
   */
  public GradAndVar<? extends TType> pair(GradAndVar<? extends TType> pair) {
    return trained(pair.getVariable()) instanceof ShardedVariable<?> sharded
        ? pair(pair, sharded)
        : pair;
  }

  @SuppressWarnings("unchecked") // The gradient is of the variable's type.
  private static <T extends TNumber> GradAndVar<? extends TType> pair(
      GradAndVar<? extends TType> pair, ShardedVariable<T> sharded) {
    Optional<IndexedSlices<?>> slices = IndexedSlices.from(pair);
    if (slices.isPresent()) {
      return slices.get().of(sharded);
    }
    Output<?> gradient = pair.getGradient();
    boolean isPresent = gradient != null && !gradient.isClosed();
    return ShardedGradient.ofWhole(isPresent ? (Output<T>) gradient : null, sharded);
  }

  /** The variables that hold the value: the shards on all devices, or the handle itself. */
  public List<Output<?>> parts(Output<?> handle) {
    return trained(handle) instanceof ShardedVariable<?> sharded
        ? sharded.shards().stream().<Output<?>>map(Operand::asOutput).toList()
        : List.of(handle);
  }

  /**
   * Adds the operations that give the model's variables, and their copies, the value of what is
   * trained.
   *
   * @param after what they wait for
   */
  public Op gather(Op after) {
    Ops waiting = tf.withControlDependencies(List.of(after));
    Op whole = together(after, all.values().stream().map(each -> each.gather(waiting)).toList());
    return together(whole, towers.map(each -> each.copy(whole, trained)).orElse(List.of()));
  }

  /**
   * Adds the operations that give the shards, and the copies, the value of the model's variables.
   *
   * @param after what they wait for
   */
  public Op scatter(Op after) {
    Ops waiting = tf.withControlDependencies(List.of(after));
    List<Op> writes =
        new ArrayList<>(all.values().stream().map(each -> each.scatter(waiting)).toList());
    towers.ifPresent(each -> writes.addAll(each.copy(after)));
    return together(after, writes);
  }

  private Op together(Op after, List<Op> writes) {
    return writes.isEmpty() ? after : Group.of(tf, writes);
  }
}
