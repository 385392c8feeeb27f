package dev.adafactor.mesh;

import dev.adafactor.graph.Group;
import dev.adafactor.graph.Names;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.Scope;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/**
 * A variable in parts on the devices of a mesh. Each part is an ordinary reference variable, {@code
 * NAME/shard_I} on the I-th device; where the layout has replicas, several have the same value.
 *
 * <p>As an operand it is the whole, put together on the mesh's first device from the owner of each
 * shard. Gradients flow through it. What computes with a part alone takes {@link #shard}.
 *
 * <pre>{@code
 * Mesh mesh = Mesh.virtualCpus("x=2,y=2");
 * var w = ShardedVariable.create(tf, "w", new Layout(mesh, List.of("x", "y")), initialValue);
 * Adafactor adafactor = Adafactor.builder(graph).mesh(mesh).build();
 * Op train = adafactor.minimize(loss, List.of(w, bias));
 * try (Session session = new Session(graph, mesh.config())) { … }
 * }</pre>
 */
public final class ShardedVariable<T extends TNumber> implements Operand<T> {

  /**
   * Gives the initial value of the parts.
   *
   * @param <T> the type of the variable
   */
  @FunctionalInterface
  public interface Initializer<T extends TNumber> {

    /**
     * Adds the operations that compute a part.
     *
     * @param tf adds operations on the part's device
     * @param offset where the part begins in the whole, along each axis
     * @param shape of the part
     * @return of that shape and a floating type
     */
    Operand<T> part(Ops tf, List<Long> offset, Shape shape);
  }

  private final Naming naming;
  private final Sharding sharding;
  private final List<Variable<T>> shards;
  private final Operand<T> whole;

  /** The whole, wherever it was put together. */
  private final List<Operand<T>> wholes;

  private ShardedVariable(
      Naming naming, Sharding sharding, List<Variable<T>> shards, Operand<T> whole) {
    this.naming = naming;
    this.sharding = sharding;
    this.shards = shards;
    this.whole = whole;
    this.wholes = new CopyOnWriteArrayList<>(List.of(whole));
  }

  /**
   * Adds the parts to the graph, and their initializers.
   *
   * @param name of the variable, which may have slashes; the operations have it whole
   * @param initialValue of the variable's shape, which must be known, and of a floating type; it is
   *     computed once and as a whole, for all parts
   * @throws IllegalArgumentException if operations cannot have the name, the layout does not fit
   *     the shape, the type is none of floats, or the graph has a variable of that name
   */
  public static <T extends TNumber> ShardedVariable<T> create(
      Ops tf, String name, Layout layout, Operand<T> initialValue) {
    requireValid(name);
    requireFloating(name, initialValue.asOutput().dataType());
    Sharding sharding = sharding(name, layout, initialValue.shape());
    return of(tf, Naming.of(name), sharding, sharding.cut(tf.withInitScope(), initialValue));
  }

  /**
   * Adds the parts to the graph, and their initializers: a variable that is never on one device as
   * a whole, and may be too large for any. Each part is computed on its device; replicas get the
   * bits of the first.
   *
   * <pre>{@code
   * ShardedVariable<TFloat32> w = ShardedVariable.create(tf, "w", layout, Shape.of(1 << 20, 512),
   *     (ops, offset, shape) -> ops.random.truncatedNormal(ops.constant(shape.asArray()), TFloat32.class));
   * }</pre>
   *
   * @param name of the variable, which may have slashes; the operations have it whole
   * @param shape of the variable
   * @param initializer is called once for each part that is no replica
   * @throws IllegalArgumentException if operations cannot have the name, the layout does not fit
   *     the shape, a part's initial value is of another shape or none of floats, or the graph has a
   *     variable of that name
   */
  public static <T extends TNumber> ShardedVariable<T> create(
      Ops tf, String name, Layout layout, Shape shape, Initializer<T> initializer) {
    requireValid(name);
    Sharding sharding = sharding(name, layout, shape);
    List<Operand<T>> parts = new ArrayList<>();
    for (Layout.Shard shard : layout.shards()) {
      Ops there = tf.withInitScope().withDevice(layout.mesh().device(shard.owner()));
      parts.add(initializer.part(there, sharding.offset(shard), sharding.localShape()));
    }
    for (Operand<T> part : parts) {
      requireFloating(name, part.asOutput().dataType());
      if (!part.shape().isCompatibleWith(sharding.localShape())) {
        throw new IllegalArgumentException(
            "variable '%s': the initial value of a part has shape %s, it must be %s"
                .formatted(name, part.shape(), sharding.localShape()));
      }
    }
    return of(tf, Naming.of(name), sharding, parts);
  }

  /**
   * A copy of a variable, such as one of a SavedModel, under the name of that one: adds the parts
   * to the graph, and the initializers that give them its value.
   *
   * <pre>{@code
   * var kernel = ShardedVariable.copyOf(Ops.create(model.graph()), variable.handle(), layout);
   * model.session().initialize();
   * }</pre>
   *
   * <p>The variable itself stays as it is from then on. {@code
   * dev.adafactor.savedmodel.SpreadVariables} has it follow the copy, for the functions of a model
   * that read it.
   *
   * @param variable the output of a {@code VariableV2} or the handle of a {@code VarHandleOp}, of
   *     which there is one copy at most
   * @throws IllegalArgumentException if it is neither, or of another graph, if the layout does not
   *     fit its shape, or its type is none of floats
   */
  public static ShardedVariable<?> copyOf(Ops tf, Operand<?> variable, Layout layout) {
    return copyOf(tf, VariableView.of((Graph) tf.scope().env(), variable), layout);
  }

  private static <T extends TNumber> ShardedVariable<T> copyOf(
      Ops tf, VariableView<T> variable, Layout layout) {
    String name = variable.name();
    Sharding sharding = sharding(name, layout, variable.shape());
    // The operation's name is one, whatever the variable's.
    Naming naming = new Naming(name, variable.key(), variable.op().name());
    Ops init = tf.withInitScope();
    return of(tf, naming, sharding, sharding.cut(init, variable.initialValue(init)));
  }

  /**
   * What a variable is called.
   *
   * @param key what tells it from others
   * @param operations what the names of its operations begin with
   */
  private record Naming(String name, String key, String operations) {

    static Naming of(String name) {
      return new Naming(name, "shards:" + name, name);
    }
  }

  private static <T extends TNumber> ShardedVariable<T> of(
      Ops tf, Naming naming, Sharding sharding, List<Operand<T>> initialParts) {
    DataType type = initialParts.get(0).asOutput().dataType();
    List<Variable<T>> shards = declare(tf, naming, sharding, type);
    sharding.assign(tf.withInitScope(), shards, initialParts);
    return new ShardedVariable<>(naming, sharding, shards, whole(tf, naming, sharding, shards));
  }

  private static <T extends TNumber> List<Variable<T>> declare(
      Ops tf, Naming naming, Sharding sharding, DataType type) {
    List<Variable<T>> shards = new ArrayList<>();
    Mesh mesh = sharding.layout().mesh();
    if (tf.scope().env() instanceof Graph graph && graph.operation(shard(naming, 0)) != null) {
      throw new IllegalArgumentException(
          "the graph has a sharded variable '%s' already; give another name"
              .formatted(naming.name()));
    }
    for (int device = 0; device < mesh.size(); device++) {
      Scope there = tf.withDevice(mesh.device(device)).scope();
      // Not through Ops, which admits no slash in a name.
      shards.add(
          new Variable<>(
              there
                  .env()
                  .opBuilder("VariableV2", shard(naming, device), there)
                  .setAttr("shape", sharding.localShape())
                  .setAttr("dtype", type)
                  .setAttr(VariableView.SHARD_OF, naming.name())
                  .build()));
    }
    return List.copyOf(shards);
  }

  private static String shard(Naming naming, int device) {
    return naming.operations() + "/shard_" + device;
  }

  private static <T extends TNumber> Operand<T> whole(
      Ops tf, Naming naming, Sharding sharding, List<Variable<T>> shards) {
    Ops there = tf.withDevice(sharding.layout().mesh().device(0));
    return there
        .scope()
        .env()
        .opBuilder("Identity", naming.operations() + "/whole", there.scope())
        .addInput(sharding.read(there, shards).asOutput())
        .setAttr(VariableView.WHOLE_OF, naming.name())
        .build()
        .output(0);
  }

  private static void requireValid(String name) {
    if (!Names.isValid(name)) {
      throw new IllegalArgumentException(
          ("variable '%s' cannot have that name: give letters, digits, '.', '_', '-' and '/', the"
                  + " first a letter, a digit or '.'")
              .formatted(name));
    }
  }

  private static void requireFloating(String name, DataType type) {
    if (!VariableView.isFloating(type)) {
      throw new IllegalArgumentException(
          "variable '%s': the initial value is of type %s, it must be of floats"
              .formatted(name, type));
    }
  }

  private static Sharding sharding(String name, Layout layout, Shape shape) {
    return named(name, () -> new Sharding(layout, shape));
  }

  /** Names the variable where an argument is refused. */
  private static <X> X named(String name, Supplier<X> result) {
    try {
      return result.get();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("variable '%s': %s".formatted(name, e.getMessage()), e);
    }
  }

  /** The name of the whole. */
  public String name() {
    return naming.name();
  }

  /**
   * What tells the variable from others in its graph. A copy has what its original has: what is
   * asked for the one, such as no weight decay, is for the other.
   */
  public String key() {
    return naming.key();
  }

  /** How it is cut. */
  public Sharding sharding() {
    return sharding;
  }

  /** How it is laid out. */
  public Layout layout() {
    return sharding.layout();
  }

  /** The parts, one for each device of the mesh. */
  public List<Variable<T>> shards() {
    return shards;
  }

  /**
   * The part of a device. Who assigns to it leaves its replicas as they are: {@link #assign} sets
   * them all.
   *
   * @param device its place in the mesh
   */
  public Variable<T> shard(int device) {
    return shards.get(device);
  }

  /** The whole, put together on the mesh's first device. */
  @Override
  public Output<T> asOutput() {
    return whole.asOutput();
  }

  /**
   * Adds operations that put the whole together elsewhere.
   *
   * @param tf where, as {@code tf.withDevice(…)}
   */
  public Operand<T> read(Ops tf) {
    Operand<T> read = sharding.read(tf, shards);
    wholes.add(read);
    return read;
  }

  /** The whole, at all places where it was put together by now. */
  public List<Operand<T>> wholes() {
    return List.copyOf(wholes);
  }

  /**
   * Adds the operations that set the whole: the parts on all devices, replicas among them.
   *
   * @param tf where the value is
   * @param value of the variable's shape and type
   * @return a target to run
   * @throws IllegalArgumentException if it is of another shape or type
   */
  public Op assign(Ops tf, Operand<T> value) {
    if (value.type() != whole.type()) {
      throw new IllegalArgumentException(
          "variable '%s': a %s is given, it must be a %s"
              .formatted(name(), value.type().getSimpleName(), whole.type().getSimpleName()));
    }
    List<Operand<T>> parts = named(name(), () -> sharding.cut(tf, value));
    return Group.of(tf, sharding.assign(tf, shards, parts));
  }

  @Override
  public Operation op() {
    return asOutput().op();
  }

  @Override
  public String toString() {
    return "%s %s %s, %s"
        .formatted(name(), sharding.shape(), whole.asOutput().dataType(), layout());
  }
}
