package dev.adafactor.mesh;

import dev.adafactor.graph.Derivative;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.Tower;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Operation;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The loss of a batch that several devices share: each computes loss and gradients of a part of the
 * rows, forwards and backwards, with the same variables. Training is the same as with the whole
 * batch on one device, to rounding.
 *
 * <pre>{@code
 * List<String> devices = List.of("/device:CPU:0", "/device:CPU:1");    // or mesh.devices()
 * DataParallel<TFloat32> loss = DataParallel.split(tf, devices, List.of(images, labels),
 *     (ops, part) -> lossOf(ops, part.input(0, TFloat32.class), part.input(1, TInt32.class)));
 * Op train = adafactor.minimize(loss);
 * session.runner().feed(images, …).feed(labels, …).addTarget(train).fetch(loss).run();
 * }</pre>
 *
 * <p>It is the mean loss itself, an operand. {@code Adafactor} computes each part's gradients on
 * the part's device and takes their mean, weighted by rows, on the variable's; a sparse gradient
 * stays sparse, with the rows of all parts. For other optimizers {@link #gradients} does it. Their
 * {@code minimize} gives the same numbers with all gradients on the session's first device.
 *
 * <p>Variables are where they are, and there alone. In a step each device that computes with one
 * gets its value and sends a gradient back. A reference variable is used as it is. A resource
 * variable must be read, or have rows gathered from it, by operations of a scope of the variable's
 * own device, which means outside of the function; all parts compute with what was read.
 *
 * <p>The function is called once for each device, and must give a scalar, the mean over its rows:
 * what the framework's losses give. It must not make variables: each part would have its own.
 * Operations of other scopes than the one that it gets are not on the part's device. What depends
 * on the whole batch, as the statistics of batch normalization, depends on a part instead, and
 * random numbers are others for each part.
 *
 * <p>Parts may be of different sizes, but not empty: a step with fewer rows than devices fails and
 * changes nothing.
 *
 * <p>Gradients through functions run on the device of the part that calls them; those through loops
 * of {@code Graph.whileLoop} are refused. Where TensorFlow is on the module path Java wants {@code
 * --add-opens tensorflow/org.tensorflow=dev.adafactor}.
 *
 * @param <T> the type of the loss
 */
public final class DataParallel<T extends TNumber> implements Operand<T> {

  private static final String SCOPE = "data_parallel";

  /**
   * Adds the operations of the loss of a part of a batch.
   *
   * @param <T> the type of the loss
   */
  @FunctionalInterface
  public interface Model<T extends TNumber> {

    /**
     * Adds the operations.
     *
     * @param tf adds operations on the part's device
     * @return a scalar, the mean over the part's rows
     */
    Operand<T> loss(Ops tf, Part part);
  }

  /**
   * The gradient of the batch by a variable.
   *
   * @param values of the variable's type and shape; with indices, of shape {@code [k] +
   *     variable.shape[1:]}
   * @param indices of shape {@code [k]}, int32 or int64: the row of each of the values, which add
   *     up where they are of one row; empty where the values are those of all rows
   */
  public record Gradient(Output<?> values, Optional<Operand<? extends TNumber>> indices) {}

  /**
   * A part of a batch.
   *
   * @param inputs what the model computes with; along their first axis all have the same rows
   */
  public record Part(List<Operand<?>> inputs) {

    /**
     * @throws IllegalArgumentException if there is no input, one has no axis, or they are known to
     *     differ in the number of rows
     */
    public Part {
      inputs = List.copyOf(inputs);
      if (inputs.isEmpty()) {
        throw new IllegalArgumentException("a batch must have an input, such as features");
      }
      inputs.forEach(Part::requireRows);
      if (inputs.stream().mapToLong(Part::rows).filter(n -> n >= 0).distinct().count() > 1) {
        throw new IllegalArgumentException(
            "the inputs of a batch must have the same number of rows. Received: "
                + inputs.stream().map(Operand::shape).toList());
      }
    }

    /**
     * An input.
     *
     * @param index its place
     * @throws IllegalArgumentException if it is of another type
     * @throws IndexOutOfBoundsException if there is none
     */
    public <U extends TType> Operand<U> input(int index, Class<U> type) {
      return inputs.get(index).asOutput().expect(type);
    }

    private static void requireRows(Operand<?> input) {
      if (!input.shape().isUnknown() && input.shape().numDimensions() == 0) {
        throw new IllegalArgumentException(
            "the input '" + input.asOutput().name() + "' is a scalar: a batch is along an axis");
      }
    }

    /** The number of rows; negative if it is not known. */
    private static long rows(Operand<?> input) {
      return input.shape().isUnknown() ? Shape.UNKNOWN_SIZE : input.shape().get(0);
    }

    private long rows() {
      return inputs.stream().mapToLong(Part::rows).max().orElseThrow();
    }
  }

  private final Ops tf;
  private final List<Tower<T>> towers;
  private final Operand<T> mean;

  private DataParallel(Ops tf, List<Tower<T>> towers) {
    this.tf = tf;
    this.towers = towers;
    this.mean = Tower.loss(tf, towers);
  }

  /**
   * Divides a batch among devices, into parts of consecutive rows that differ by one row at most.
   *
   * @param tf adds the operations that belong to no device
   * @param devices as {@code /device:CPU:1} or {@code /job:worker/task:1/device:GPU:0}
   * @param batch inputs whose first axes are the rows, such as features and labels
   * @param model adds the operations of a part
   * @throws IllegalArgumentException if there is no device, a text names none, there is no input,
   *     one has no axis, they are known to differ in the number of rows, or these are known to be
   *     fewer than the devices; or if the model gives no scalar of floats
   */
  public static <T extends TNumber> DataParallel<T> split(
      Ops tf, List<String> devices, List<? extends Operand<?>> batch, Model<T> model) {
    List<DeviceSpec> specs = specs(devices);
    Part whole = new Part(List.copyOf(batch));
    Ops scope = tf.withSubScope(SCOPE);
    Operand<TInt64> sizes = sizes(scope, whole, specs.size());
    List<List<Operand<?>>> parts = new ArrayList<>();
    specs.forEach(spec -> parts.add(new ArrayList<>()));
    for (Operand<?> input : whole.inputs()) {
      List<? extends Operand<?>> pieces =
          scope.splitV(input, sizes, scope.constant(0), (long) specs.size()).output();
      for (int i = 0; i < parts.size(); i++) {
        parts.get(i).add(pieces.get(i));
      }
    }
    return of(scope, specs, parts.stream().map(Part::new).toList(), model);
  }

  /**
   * Takes a batch that comes in parts, one for each device: from placeholders or data sets of their
   * own.
   *
   * @param tf adds the operations that belong to no device
   * @param devices as {@code /device:CPU:1} or {@code /job:worker/task:1/device:GPU:0}
   * @param parts one for each device
   * @param model adds the operations of a part
   * @throws IllegalArgumentException if there is no device, a text names none, or there are more or
   *     fewer parts than devices; or if the model gives no scalar of floats
   */
  public static <T extends TNumber> DataParallel<T> ofParts(
      Ops tf, List<String> devices, List<Part> parts, Model<T> model) {
    List<DeviceSpec> specs = specs(devices);
    if (parts.size() != specs.size()) {
      throw new IllegalArgumentException(
          "each device must have one part of the batch. Received: %d parts for %d devices"
              .formatted(parts.size(), specs.size()));
    }
    return of(tf.withSubScope(SCOPE), specs, parts, model);
  }

  private static <T extends TNumber> DataParallel<T> of(
      Ops tf, List<DeviceSpec> devices, List<Part> parts, Model<T> model) {
    List<Operand<TFloat64>> shares = shares(tf, parts);
    List<Tower<T>> towers = new ArrayList<>();
    for (int i = 0; i < devices.size(); i++) {
      Ops on = tf.withSubScope("tower_" + i).withDevice(devices.get(i));
      towers.add(new Tower<>(on, scalar(on, model.loss(on, parts.get(i))), shares.get(i)));
    }
    return new DataParallel<>(tf, List.copyOf(towers));
  }

  private static List<DeviceSpec> specs(List<String> devices) {
    if (devices.isEmpty()) {
      throw new IllegalArgumentException("there must be a device, such as /device:CPU:0");
    }
    return devices.stream().map(Placement::one).toList();
  }

  /** How many rows each part gets. */
  private static Operand<TInt64> sizes(Ops tf, Part whole, int parts) {
    long rows = whole.rows();
    if (rows < 0) {
      Operand<TInt64> places =
          tf.constant(IntStream.range(0, parts).mapToLong(i -> parts - 1 - i).toArray());
      return tf.math.floorDiv(tf.math.add(rows(tf, whole), places), tf.constant((long) parts));
    }
    if (rows < parts) {
      throw new IllegalArgumentException(
          "a batch of %d rows cannot be divided among %d devices: each must get a row"
              .formatted(rows, parts));
    }
    return tf.constant(
        IntStream.range(0, parts).mapToLong(i -> (rows + parts - 1 - i) / parts).toArray());
  }

  /** How large a part of the batch each part is. */
  private static List<Operand<TFloat64>> shares(Ops tf, List<Part> parts) {
    if (parts.stream().allMatch(part -> part.rows() > 0)) {
      double all = parts.stream().mapToLong(Part::rows).sum();
      return parts.stream().<Operand<TFloat64>>map(part -> tf.constant(part.rows() / all)).toList();
    }
    List<Operand<TFloat64>> rows = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      String none = "part %d of %d of the batch has no row".formatted(i + 1, parts.size());
      if (parts.get(i).rows() == 0) {
        throw new IllegalArgumentException(none);
      }
      Operand<TInt64> own = rows(tf, parts.get(i));
      // A mean over no rows is not a number, and no share of 0 makes one of it.
      Op some = tf.assertThat(tf.math.greater(own, tf.constant(0L)), List.of(tf.constant(none)));
      rows.add(
          tf.dtypes.cast(tf.withControlDependencies(List.of(some)).identity(own), TFloat64.class));
    }
    Operand<TFloat64> all = tf.math.addN(rows);
    return rows.stream().<Operand<TFloat64>>map(own -> tf.math.div(own, all)).toList();
  }

  private static Operand<TInt64> rows(Ops tf, Part part) {
    return tf.gather(tf.shape(part.inputs().get(0), TInt64.class), tf.constant(0), tf.constant(0));
  }

  private static <T extends TNumber> Operand<T> scalar(Ops tf, Operand<T> loss) {
    Objects.requireNonNull(loss, "the loss of a part");
    if (!VariableView.isFloating(loss.asOutput().dataType())) {
      throw new IllegalArgumentException(
          "the loss of a part is of type %s, it must be of floats"
              .formatted(loss.asOutput().dataType()));
    }
    if (!loss.shape().isCompatibleWith(Shape.scalar())) {
      throw new IllegalArgumentException(
          "the loss of a part has shape %s, it must be a scalar: the mean over the part's rows"
              .formatted(loss.shape()));
    }
    return loss.shape().isUnknown() ? tf.reshape(loss, tf.constant(new int[0])) : loss;
  }

  /** The mean loss of the batch, a scalar. */
  @Override
  public Output<T> asOutput() {
    return mean.asOutput();
  }

  @Override
  public Operation op() {
    return mean.op();
  }

  /** The loss of each device's part, a scalar, in the order of the devices. */
  public List<Operand<T>> parts() {
    return towers.stream().map(Tower::loss).toList();
  }

  /**
   * Adds the gradients by some variables, for any optimizer: dense, computed on the parts' devices
   * and added up beside the variables. {@code Adafactor.computeGradients} leaves those of gathered
   * rows sparse.
   *
   * @param variables outputs of {@code VariableV2} or handles of {@code VarHandleOp}
   * @return pairs in the order of the variables, without those that no part's loss follows from
   * @throws IllegalArgumentException if an operand is no variable that can be trained, a variable
   *     is read on another device than its own, a gradient comes through a loop of {@code
   *     Graph.whileLoop}, or a native gradient function would crash
   * @throws IllegalStateException if TensorFlow is on the module path and not opened to this module
   */
  public List<GradAndVar<? extends TType>> gradients(List<? extends Operand<?>> variables) {
    List<Output<?>> outputs = variables.stream().<Output<?>>map(Operand::asOutput).toList();
    outputs.forEach(output -> VariableView.of((Graph) tf.scope().env(), output));
    List<Optional<Derivative>> derivatives = Tower.derivatives(tf, towers, outputs);
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (int i = 0; i < outputs.size(); i++) {
      Output<?> variable = outputs.get(i);
      derivatives
          .get(i)
          .map(each -> each.dense(tf, variable))
          .map(values -> pair(values, variable))
          .ifPresent(pairs::add);
    }
    return pairs;
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  private static GradAndVar<? extends TType> pair(Output<?> gradient, Output<?> variable) {
    return new GradAndVar(gradient, variable);
  }

  /**
   * Adds the gradients by some variables, as {@link #gradients} does, but leaves those of gathered
   * rows sparse.
   *
   * @param variables or tensors of floats that are computed from them
   * @return one for each variable, in their order; empty where no part's loss follows from it
   */
  public List<Optional<Gradient>> sparseGradients(List<? extends Operand<?>> variables) {
    return Tower.derivatives(tf, towers, variables.stream().map(Operand::asOutput).toList())
        .stream()
        .map(each -> each.map(found -> new Gradient(found.values(), found.indices())))
        .toList();
  }
}
