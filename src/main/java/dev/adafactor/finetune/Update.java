package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.Group;
import dev.adafactor.savedmodel.SpreadVariables;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
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
    static AtOnce of(
        Ops tf, StepFunction function, Adafactor adafactor, SpreadVariables spread, Op checked) {
      List<GradAndVar<? extends TType>> gradients = new ArrayList<>(function.gradients());
      for (int i = 0; i < gradients.size(); i++) {
        Output<?> gradient = gradients.get(i).getGradient();
        if (StepFunction.isPresent(gradient)) {
          // The optimizer waits for all gradients before it changes anything: one is enough.
          Ops after = tf.withControlDependencies(List.of(checked));
          gradients.set(
              i, StepFunction.replaced(gradients.get(i), after.identity(gradient).asOutput()));
          break;
        }
      }
      return new AtOnce(apply(tf, gradients, adafactor, spread));
    }
  }

  /**
   * The update by the gradients of several parts of a batch, which are added up for each variable
   * that is trained.
   *
   * @param share where is fed how large a part of the batch the part is
   * @param first takes the gradients of the first part
   * @param next adds those of a later part
   * @param rate see {@link Update#rate}; a run of its own
   */
  record OfParts(Placeholder<TFloat32> share, Op first, Op next, Operand<TFloat32> rate)
      implements Update {
    private static final String NAME = "fine_tuning/gradient/";

    static OfParts of(Ops tf, StepFunction function, Adafactor adafactor, SpreadVariables spread) {
      Placeholder<TFloat32> share =
          tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
      List<Op> first = new ArrayList<>();
      List<Op> next = new ArrayList<>();
      List<GradAndVar<? extends TType>> sums = new ArrayList<>();
      for (GradAndVar<? extends TType> pair : function.gradients()) {
        if (!StepFunction.isPresent(pair.getGradient())) {
          sums.add(pair);
          continue;
        }
        GradientSum sum = GradientSum.of(tf, NAME + sums.size(), pair, share);
        first.addAll(sum.first());
        next.addAll(sum.next());
        sums.add(sum.pair());
      }
      return new OfParts(
          share, Group.of(tf, first), Group.of(tf, next), apply(tf, sums, adafactor, spread));
    }
  }

  private static Operand<TFloat32> apply(
      Ops tf,
      List<GradAndVar<? extends TType>> gradients,
      Adafactor adafactor,
      SpreadVariables spread) {
    Op update =
        adafactor.applyGradients(
            gradients.stream().<GradAndVar<? extends TType>>map(spread::pair).toList(),
            adafactor.getOptimizerName() + "-minimize");
    return tf.withControlDependencies(List.of(spread.gather(update)))
        .identity(adafactor.learningRate());
  }
}
