package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * A device and the loss of the part of a batch that it works on.
 *
 * @param tf adds operations on the device
 * @param loss a scalar, the mean over the part
 * @param share how large a part of the batch it is, a scalar; those of all towers add up to 1
 */
public record Tower<T extends TNumber>(Ops tf, Operand<T> loss, Operand<TFloat64> share) {

  /**
   * The mean loss over the batch, a scalar.
   *
   * @param tf where the losses of all towers meet
   */
  public static <T extends TNumber> Operand<T> loss(Ops tf, List<Tower<T>> towers) {
    List<Operand<? extends TNumber>> parts = new ArrayList<>();
    towers.forEach(tower -> parts.add(tower.scaled(tower.loss())));
    return tf.dtypes.cast(Derivative.added(tf, parts), towers.get(0).loss().type());
  }

  /**
   * The derivatives of the mean loss over the batch, each beside its variable, in the order of the
   * variables; empty for a variable that no loss follows from. What one tower adds to them is
   * computed on its device.
   *
   * @param tf adds operations where TensorFlow wants them
   * @param variables or tensors of floats that are computed from them
   * @throws IllegalArgumentException if a variable cannot be trained or is read on another device
   *     than its own, a gradient comes through a loop of {@code Graph.whileLoop}, or a native
   *     gradient function would crash
   */
  public static List<Optional<Derivative>> derivatives(
      Ops tf, List<? extends Tower<?>> towers, List<? extends Output<?>> variables) {
    Graph graph = (Graph) tf.scope().env();
    List<Origin> origins = new ArrayList<>();
    for (Output<?> variable : variables) {
      if (VariableView.isVariable(variable.op())) {
        VariableView.of(graph, variable);
      }
      origins.add(Origin.of(variable));
    }
    List<Gradients> losses =
        towers.stream().map(tower -> Gradients.of(graph, tower.loss())).toList();
    losses.forEach(Gradients::refuseDistantReads);
    List<List<Derivative>> parts = new ArrayList<>();
    origins.forEach(origin -> parts.add(new ArrayList<>()));
    for (int t = 0; t < towers.size(); t++) {
      Tower<?> tower = towers.get(t);
      List<Optional<Derivative>> derivatives = losses.get(t).with(tower.tf(), variables);
      for (int v = 0; v < origins.size(); v++) {
        derivatives.get(v).map(tower::scaled).ifPresent(parts.get(v)::add);
      }
    }
    Placement placement = new Placement(new Constants(tf));
    List<Optional<Derivative>> means = new ArrayList<>();
    for (int v = 0; v < origins.size(); v++) {
      Ops beside = placement.on(((GraphOperation) variables.get(v).op()).device()).ops();
      means.add(
          parts.get(v).isEmpty()
              ? Optional.empty()
              : Optional.of(mean(beside, origins.get(v), parts.get(v))));
    }
    return means;
  }

  private static Derivative mean(Ops tf, Origin origin, List<Derivative> parts) {
    Derivative sum = Derivative.sum(tf, origin.shape(), parts);
    return sum.values().type().equals(origin.type())
        ? sum
        : new Derivative(tf.dtypes.cast(sum.values(), origin.type()).asOutput(), sum.indices());
  }

  private Derivative scaled(Derivative derivative) {
    return new Derivative(scaled(derivative.number()).asOutput(), derivative.indices());
  }

  /** What the tower adds to a mean over the batch; of half precision, in float32. */
  private Operand<? extends TNumber> scaled(Operand<? extends TNumber> mean) {
    return mean.type() == TFloat64.class
        ? tf.math.mul(tf.dtypes.cast(mean, TFloat64.class), share)
        : tf.math.mul(tf.dtypes.cast(mean, TFloat32.class), tf.dtypes.cast(share, TFloat32.class));
  }
}
