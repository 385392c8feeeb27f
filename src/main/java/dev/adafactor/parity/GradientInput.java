package dev.adafactor.parity;

import dev.adafactor.IndexedSlices;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Where the gradients of one variable are fed. */
final class GradientInput<T extends TNumber> {
  private final CaseVariable variable;
  private final Holding holding;
  private final Operand<? extends TType> handle;
  private final Placeholder<T> dense;
  private final Optional<IndexedSlices<T>> sparse;

  /**
   * Adds the placeholders to the graph.
   *
   * @param handle what the optimizer takes as the variable
   * @param type the type of the variable's elements
   */
  GradientInput(
      Ops tf,
      CaseVariable variable,
      Holding holding,
      Operand<? extends TType> handle,
      Class<T> type) {
    this.variable = variable;
    this.holding = holding;
    this.handle = handle;
    dense = tf.placeholder(type, Placeholder.shape(variable.tensorShape()));
    sparse =
        variable.shape().isEmpty()
            ? Optional.empty()
            : Optional.of(
                new IndexedSlices<>(
                    tf.placeholder(
                        type,
                        Placeholder.shape(
                            variable.tensorShape().tail().prepend(Shape.UNKNOWN_SIZE))),
                    tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(Shape.UNKNOWN_SIZE)))));
  }

  /** What the optimizer is given where a step has such a gradient. */
  GradAndVar<? extends TType> pair(Gradient gradient) {
    if (gradient instanceof Gradient.Sparse) {
      return sparse.orElseThrow().of(handle);
    }
    return holding.pair(gradient instanceof Gradient.Dense ? dense : null, handle);
  }

  /** Feeds a gradient to a run, and returns the tensors to be closed after it. */
  List<Tensor> feed(Session.Runner runner, Gradient gradient) {
    if (gradient instanceof Gradient.Dense fed) {
      Tensor values = fed.values().toTensor(variable.shape());
      runner.feed(dense, values);
      return List.of(values);
    }
    if (gradient instanceof Gradient.Sparse fed) {
      int rows = fed.indices().size();
      Tensor values = fed.values().toTensor(variable.sliceShape(rows));
      int[] places = fed.indices().stream().mapToInt(Integer::intValue).toArray();
      Tensor indices = TInt32.tensorOf(StdArrays.ndCopyOf(places));
      runner.feed(sparse.orElseThrow().values(), values);
      runner.feed(sparse.orElseThrow().indices(), indices);
      return List.of(values, indices);
    }
    return List.of();
  }
}
