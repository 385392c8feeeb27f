package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.RawVariable;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** The operations that change the variables by a step's gradients. */
sealed interface Update {

  /** The rate of the update, read after it; to fetch it is to do the update. */
  Operand<TFloat32> rate();

  /**
   * The update by the gradients of one batch, done in the run that computes them.
   *
   * <p>It waits for the loss: where that is not finite the run fails and nothing is changed.
   */
  record AtOnce(Operand<TFloat32> rate) implements Update {
    static AtOnce of(Ops tf, StepFunction function, Adafactor adafactor, Op checked) {
      List<GradAndVar<? extends TType>> gradients = new ArrayList<>(function.gradients());
      for (int i = 0; i < gradients.size(); i++) {
        Output<?> gradient = gradients.get(i).getGradient();
        if (StepFunction.isPresent(gradient)) {
          // The optimizer waits for all gradients before it changes anything: one is enough.
          Ops after = tf.withControlDependencies(List.of(checked));
          gradients.set(
              i,
              StepFunction.pair(
                  after.identity(gradient).asOutput(), gradients.get(i).getVariable()));
          break;
        }
      }
      return new AtOnce(apply(tf, gradients, adafactor));
    }
  }

  /**
   * The update by the gradients of several parts of a batch, which are added up in a variable for
   * each variable that is trained; half-precision gradients in float32.
   *
   * @param share where is fed how large a part of the batch the part is
   * @param first takes the gradients of the first part
   * @param next adds those of a later part
   * @param rate see {@link Update#rate}; a run of its own
   */
  record OfParts(Placeholder<TFloat32> share, Op first, Op next, Operand<TFloat32> rate)
      implements Update {
    private static final String NAME = "fine_tuning/gradient/";

    static OfParts of(Ops tf, StepFunction function, Adafactor adafactor) {
      Placeholder<TFloat32> share =
          tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
      List<Op> first = new ArrayList<>();
      List<Op> next = new ArrayList<>();
      List<GradAndVar<? extends TType>> sums = new ArrayList<>();
      for (GradAndVar<? extends TType> pair : function.gradients()) {
        Output<?> gradient = pair.getGradient();
        if (!StepFunction.isPresent(gradient)) {
          sums.add(pair);
          continue;
        }
        Operand<? extends TNumber> part = scaled(tf, gradient, share);
        RawVariable sum =
            RawVariable.create(
                tf, NAME + sums.size(), part.asOutput().dataType(), gradient.shape());
        first.add(sum.assign(tf, part));
        next.add(sum.assignAdd(tf, part));
        sums.add(
            StepFunction.pair(
                tf.dtypes.cast(sum.read(tf), StepFunction.numeric(gradient).type()).asOutput(),
                pair.getVariable()));
      }
      return new OfParts(
          share,
          tf.withControlDependencies(first).noOp(),
          tf.withControlDependencies(next).noOp(),
          apply(tf, sums, adafactor));
    }

    private static Operand<? extends TNumber> scaled(
        Ops tf, Output<?> gradient, Operand<TFloat32> share) {
      return gradient.dataType() == DataType.DT_DOUBLE
          ? tf.math.mul(as(tf, gradient, TFloat64.class), tf.dtypes.cast(share, TFloat64.class))
          : tf.math.mul(as(tf, gradient, TFloat32.class), share);
    }

    private static <T extends TNumber> Operand<T> as(Ops tf, Output<?> gradient, Class<T> type) {
      return tf.dtypes.cast(gradient, type);
    }
  }

  private static Operand<TFloat32> apply(
      Ops tf, List<GradAndVar<? extends TType>> gradients, Adafactor adafactor) {
    Op update = adafactor.applyGradients(gradients, adafactor.getOptimizerName() + "-minimize");
    return tf.withControlDependencies(List.of(update)).identity(adafactor.learningRate());
  }
}
