package dev.adafactor.savedmodel;

import dev.adafactor.graph.Group;
import dev.adafactor.graph.OrderedSum;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * The devices that share the batches of a model's training, and the variables of each.
 *
 * <p>The first computes with the model's own variables, each other one with copies beside it: what
 * changes the model's is to be followed by {@link SpreadVariables#gather} or {@link
 * SpreadVariables#scatter}.
 */
public final class ModelTowers {

  /**
   * A variable of the model, and its copies.
   *
   * @param isMean whether a step changes it on each device, and its value is the mean of all
   */
  private record Mirrored(
      ModelVariable variable, RawVariable own, List<RawVariable> copies, boolean isMean) {

    /**
     * @param reading adds what waits for the value
     */
    List<Op> copy(Ops tf, Ops reading) {
      Operand<?> value = own.read(reading);
      return copies.stream().map(each -> each.assign(tf, value)).toList();
    }

    /**
     * @param reading adds what waits for the values
     */
    List<Op> average(Ops tf, Ops reading) {
      List<Operand<? extends TNumber>> values = new ArrayList<>();
      values.add(number(own.read(reading)));
      copies.forEach(each -> values.add(number(each.read(reading))));
      Operand<? extends TNumber> mean = mean(tf, values);
      List<Op> writes = new ArrayList<>();
      writes.add(own.assign(tf, mean));
      copies.forEach(each -> writes.add(each.assign(tf, mean)));
      return writes;
    }

    /** Of half precision in float32: the sum might not fit. */
    private static Operand<? extends TNumber> mean(
        Ops tf, List<Operand<? extends TNumber>> values) {
      Class<? extends TNumber> type = values.get(0).type();
      Operand<? extends TNumber> mean =
          type == TFloat64.class
              ? mean(tf, values, TFloat64.class)
              : mean(tf, values, TFloat32.class);
      return tf.dtypes.cast(mean, type);
    }

    private static <T extends TNumber> Operand<T> mean(
        Ops tf, List<Operand<? extends TNumber>> values, Class<T> type) {
      List<Operand<T>> cast = new ArrayList<>();
      values.forEach(value -> cast.add(tf.dtypes.cast(value, type)));
      return tf.math.div(
          OrderedSum.of(tf, cast), tf.dtypes.cast(tf.constant((float) values.size()), type));
    }

    @SuppressWarnings("unchecked") // Only floats have means.
    private static Operand<? extends TNumber> number(Output<?> value) {
      return (Operand<? extends TNumber>) (Operand<?>) value;
    }
  }

  private final Ops tf;
  private final List<ModelTower> towers;
  private final List<Mirrored> variables;

  /**
   * Adds initializers that give the copies the values of the model's variables.
   *
   * @param towers at least one
   * @param averaged those that each tower changes in a step
   */
  ModelTowers(Graph graph, List<ModelTower> towers, Set<ModelVariable> averaged) {
    this.tf = Ops.create(graph).withSubScope("towers");
    this.towers = List.copyOf(towers);
    List<ModelTower> others = towers.subList(1, towers.size());
    this.variables = new ArrayList<>();
    towers
        .get(0)
        .variables()
        .forEach(
            (variable, own) -> {
              List<RawVariable> copies =
                  others.stream()
                      .filter(tower -> tower.variables().containsKey(variable))
                      .map(tower -> raw(variable, tower.variables().get(variable)))
                      .toList();
              if (!copies.isEmpty()) {
                variables.add(
                    new Mirrored(
                        variable, raw(variable, own), copies, averaged.contains(variable)));
              }
            });
    Ops init = tf.withInitScope();
    variables.forEach(each -> each.copy(init, init));
  }

  private static RawVariable raw(ModelVariable variable, Output<?> handle) {
    return new RawVariable(handle, variable.dtype());
  }

  /** One for each device. */
  public List<ModelTower> towers() {
    return towers;
  }

  /** The variables whose value after a step is the mean of what each device makes it. */
  public List<ModelVariable> averaged() {
    return variables.stream().filter(Mirrored::isMean).map(Mirrored::variable).toList();
  }

  /**
   * Adds the operation that has ended when all that {@link ModelFunction#updates} of the towers
   * change is changed, and all have the same values again; empty if they change nothing.
   *
   * @param after what else computes with the variables in a step
   */
  public Optional<Op> updates(List<? extends Op> after) {
    List<Op> ends = towers.stream().flatMap(tower -> tower.training().updates().stream()).toList();
    List<Mirrored> averaged = variables.stream().filter(Mirrored::isMean).toList();
    if (averaged.isEmpty()) {
      return ends.isEmpty() ? Optional.empty() : Optional.of(Group.of(tf, ends));
    }
    List<Op> before = new ArrayList<>(ends);
    before.addAll(after);
    Ops waiting = tf.withControlDependencies(List.of(Group.of(tf, before)));
    List<Op> writes = new ArrayList<>();
    averaged.forEach(each -> writes.addAll(each.average(tf, waiting)));
    return Optional.of(Group.of(tf, writes));
  }

  /** Adds the operations that give the copies of all variables the values of the model's. */
  List<Op> copy(Op after) {
    return copy(after, variables);
  }

  /**
   * Adds the operations that give the copies of some variables the values of the model's.
   *
   * @param keys of the variables
   */
  List<Op> copy(Op after, Set<String> keys) {
    return copy(
        after,
        variables.stream()
            .filter(each -> keys.contains(VariableView.key(each.own().handle())))
            .toList());
  }

  private List<Op> copy(Op after, List<Mirrored> some) {
    Ops waiting = tf.withControlDependencies(List.of(after));
    List<Op> writes = new ArrayList<>();
    some.forEach(each -> writes.addAll(each.copy(tf, waiting)));
    return writes;
  }
}
