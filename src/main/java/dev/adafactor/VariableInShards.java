package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Derivative;
import dev.adafactor.graph.OrderedSum;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Snapshots;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.mesh.Sharding;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * A variable that is cut into shards. What is worked on is the replica on the first device that has
 * a shard, its owner; the others get copies, so that all have the same bits on whatever processors.
 *
 * @param replicas the part of each device of the mesh
 */
record VariableInShards(ShardedVariable<?> variable, List<VariableView<?>> replicas)
    implements LogicalVariable {

  /**
   * @throws IllegalArgumentException if it is of another graph
   */
  static VariableInShards of(Graph graph, ShardedVariable<?> variable) {
    return new VariableInShards(
        variable,
        variable.shards().stream()
            .<VariableView<?>>map(shard -> VariableView.of(graph, shard))
            .toList());
  }

  @Override
  public String name() {
    return variable.name();
  }

  @Override
  public String key() {
    return variable.key();
  }

  @Override
  public VariableInShards requireWhole() {
    return this;
  }

  @Override
  public Operand<?> operand() {
    return variable;
  }

  Layout layout() {
    return variable.layout();
  }

  @Override
  public List<VariableView<?>> parts() {
    return layout().shards().stream()
        .<VariableView<?>>map(shard -> replicas.get(shard.owner()))
        .toList();
  }

  @Override
  public List<Gradient> gradient(Placement placement, GradAndVar<?> pair) {
    Output<?> values = pair.getGradient();
    if (values == null || values.isClosed()) {
      return List.of();
    }
    Optional<ShardedGradient<?>> shards = ShardedGradient.from(pair);
    if (shards.isPresent()) {
      return gradients(placement, shards.get());
    }
    return new GradientCut(placement, ((GraphOperation) values.op()).device(), this)
        .cut(
            values,
            IndexedSlices.from(pair)
                .<Operand<? extends TNumber>>map(IndexedSlices::indices)
                .orElse(null));
  }

  /** The gradients may be variables themselves, or parts of them, which this step writes too. */
  private List<Gradient> gradients(Placement placement, ShardedGradient<?> ofShards) {
    List<VariableView<?>> parts = parts();
    List<Gradient> gradients = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Ops beside = placement.beside(parts.get(i)).ops();
      Output<?> values = Snapshots.of(beside, ofShards.shards().get(i).asOutput());
      gradients.add(Gradient.checked(placement, parts.get(i), values, null));
    }
    return gradients;
  }

  /**
   * @param ofParts dense, those of {@link #parts}, of their shapes, which no step writes
   */
  List<Gradient> gradients(List<? extends Operand<?>> ofParts) {
    List<Gradient> gradients = new ArrayList<>();
    List<VariableView<?>> parts = parts();
    for (int i = 0; i < parts.size(); i++) {
      gradients.add(new Gradient(parts.get(i), ofParts.get(i).asOutput(), null));
    }
    return gradients;
  }

  /**
   * Adds up what a loss follows from by the replicas of each shard.
   *
   * @param ofReplicas the derivatives by {@link #replicas}
   */
  GradAndVar<?> pair(Placement placement, List<Optional<Derivative>> ofReplicas) {
    boolean inRows =
        ofReplicas.stream().flatMap(Optional::stream).allMatch(d -> d.indices().isPresent());
    return layout().isFullyReplicated() && inRows
        ? pairOfRows(placement, ofReplicas)
        : pair(placement, ofReplicas, variable);
  }

  /**
   * Puts the rows together that a loss follows from.
   *
   * @param ofWholes the derivatives by what has all rows; those that are present are of rows alone
   */
  GradAndVar<?> pairOfRows(Placement placement, List<Optional<Derivative>> ofWholes) {
    List<Derivative> present = ofWholes.stream().flatMap(Optional::stream).toList();
    return present.isEmpty()
        ? VariableGradient.dense(null, variable)
        : rows(Derivative.ofRows(placement.beside(replicas.get(0)).ops(), present), variable);
  }

  private <T extends TNumber> GradAndVar<T> pair(
      Placement placement, List<Optional<Derivative>> ofReplicas, ShardedVariable<T> variable) {
    if (ofReplicas.stream().noneMatch(Optional::isPresent)) {
      return VariableGradient.dense(null, variable);
    }
    List<Operand<T>> sums = new ArrayList<>();
    for (Layout.Shard shard : layout().shards()) {
      List<Operand<T>> ofShard = new ArrayList<>();
      for (int device : shard.devices()) {
        Ops beside = placement.beside(replicas.get(device)).ops();
        ofReplicas.get(device).ifPresent(found -> ofShard.add(dense(beside, found)));
      }
      Constants owner = placement.beside(replicas.get(shard.owner()));
      sums.add(
          switch (ofShard.size()) {
            case 0 -> owner.filled(variable.type(), variable.sharding().localShape(), 0);
            default -> OrderedSum.of(owner.ops(), ofShard);
          });
    }
    return new ShardedGradient<>(sums).of(variable);
  }

  @SuppressWarnings("unchecked") // A derivative has the variable's type.
  private static <T extends TNumber> GradAndVar<T> rows(
      Derivative derivative, ShardedVariable<T> variable) {
    Operand<T> values = (Output<T>) derivative.values();
    return VariableGradient.sparse(
        new IndexedSlices<>(values, derivative.indices().orElseThrow()), variable);
  }

  @SuppressWarnings("unchecked") // A derivative has the variable's type.
  private <T extends TNumber> Operand<T> dense(Ops beside, Derivative derivative) {
    Operand<T> values = (Output<T>) derivative.values();
    Shape shape = variable.sharding().localShape();
    return derivative.indices().isPresent()
        ? UpdateTask.dense(beside, shape, values, derivative.indices().get())
        : values;
  }

  /** How a part of the state is cut. */
  private Sharding sharding(String name) {
    OptionalInt without = without(name);
    return without.isPresent()
        ? variable.sharding().without(without.getAsInt())
        : variable.sharding();
  }

  /** The axis of the variable that a part of the state does not have. */
  private OptionalInt without(String name) {
    int rank = layout().rank();
    return switch (name) {
      case Adafactor.R -> OptionalInt.of(rank - 1);
      case Adafactor.C -> OptionalInt.of(rank - 2);
      default -> OptionalInt.empty();
    };
  }

  /** Which shard of a part of the state each of {@link #parts} has. */
  private List<Integer> shards(String name) {
    List<List<Integer>> all =
        sharding(name).layout().shards().stream().map(Layout.Shard::coordinates).toList();
    List<Integer> shards = new ArrayList<>();
    for (Layout.Shard shard : layout().shards()) {
      List<Integer> coordinates = new ArrayList<>(shard.coordinates());
      without(name).ifPresent(axis -> coordinates.remove(axis));
      shards.add(all.indexOf(coordinates));
    }
    return shards;
  }

  @Override
  public <S extends TNumber> Operand<S> join(
      Ops tf, Placement placement, String name, List<Operand<S>> ofParts) {
    List<Integer> shards = shards(name);
    List<VariableView<?>> parts = parts();
    List<Operand<S>> each = new ArrayList<>();
    for (int shard = 0; shard < sharding(name).layout().shards().size(); shard++) {
      int part = shards.indexOf(shard);
      // What is sent is a value, in place of a reference.
      each.add(placement.beside(parts.get(part)).ops().identity(ofParts.get(part)));
    }
    return sharding(name).join(tf, each);
  }

  @Override
  public <S extends TNumber> List<Operand<S>> cut(Ops tf, String name, Operand<S> whole) {
    List<Operand<S>> each;
    try {
      each = sharding(name).cut(tf, whole);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "variable '%s', %s: %s".formatted(name(), name, e.getMessage()), e);
    }
    return shards(name).stream().map(each::get).toList();
  }

  @Override
  public Op spread(Placement placement, int part, Op written, Operand<? extends TNumber> rows) {
    Layout.Shard shard = layout().shards().get(part);
    if (shard.devices().size() == 1 || variable.sharding().localShape().size() == 0) {
      return written;
    }
    VariableView<?> owner = replicas.get(shard.owner());
    List<VariableView<?>> others =
        shard.devices().stream().skip(1).<VariableView<?>>map(replicas::get).toList();
    List<Op> copies =
        rows == null
            ? copies(placement, owner, others, written)
            : copiesOfRows(placement, owner, others, written, rows);
    return placement.beside(owner).ops().withControlDependencies(copies).noOp();
  }

  private static <T extends TNumber> List<Op> copies(
      Placement placement, VariableView<T> owner, List<VariableView<?>> others, Op written) {
    Operand<T> value = owner.readAfter(placement.beside(owner).ops(), written);
    List<Op> copies = new ArrayList<>();
    for (VariableView<?> other : others) {
      VariableView<T> replica = VariableView.typed(other);
      copies.add(replica.assign(placement.beside(replica).ops(), value));
    }
    return copies;
  }

  private static <T extends TNumber, I extends TNumber> List<Op> copiesOfRows(
      Placement placement,
      VariableView<T> owner,
      List<VariableView<?>> others,
      Op written,
      Operand<I> rows) {
    Constants beside = placement.beside(owner);
    Ops tf = beside.ops();
    // Row 0 stands for a row below 0; to copy it once more does no harm.
    Operand<I> existing = tf.math.maximum(rows, beside.number(rows.type(), 0));
    Operand<T> values = tf.gather(owner.readAfter(tf, written), existing, beside.integer(0));
    List<Op> copies = new ArrayList<>();
    for (VariableView<?> other : others) {
      VariableView<T> replica = VariableView.typed(other);
      Ops there = placement.beside(replica).ops();
      copies.add(replica.afterRows(there, List.of(replica.assignRows(there, existing, values))));
    }
    return copies;
  }
}
