package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.IndexedSlices;
import dev.adafactor.savedmodel.ModelTowers;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.ProvidedGradients;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * What a training step computes of a batch.
 *
 * @param measures loss and accuracy
 * @param gradients of the loss, with the variables that they belong to
 * @param updates what changes with each batch beside the variables that are trained, such as the
 *     statistics of batch normalization
 */
record StepFunction(
    Measures measures, List<GradAndVar<? extends TType>> gradients, Optional<Op> updates) {

  /** The step of an objective whose gradients TensorFlow derives. */
  static StepFunction of(
      Ops tf,
      SharedObjective objective,
      Adafactor adafactor,
      List<ModelVariable> trained,
      ModelTowers towers) {
    List<GradAndVar<? extends TType>> gradients =
        adafactor.computeGradients(
            objective.loss(), trained.stream().<Output<?>>map(ModelVariable::handle).toList());
    List<Op> computed =
        gradients.stream()
            .map(GradAndVar::getGradient)
            .filter(StepFunction::isPresent)
            .<Op>map(StepFunction::numeric)
            .toList();
    return new StepFunction(Measures.of(tf, objective), gradients, towers.updates(computed));
  }

  /** The step of a signature that gives loss and gradients. */
  static StepFunction of(Ops tf, ProvidedGradients provided, List<ModelVariable> trained) {
    List<GradAndVar<? extends TType>> gradients = new ArrayList<>();
    for (ModelVariable variable : trained) {
      gradients.add(pair(provided.gradients().get(variable), variable.handle()));
    }
    // What the signature changes beside, it has changed when it gives its loss.
    Op changed = numeric(provided.loss());
    return new StepFunction(Measures.of(tf, provided), gradients, Optional.of(changed));
  }

  /** How many variables have a gradient. */
  int used() {
    return (int) gradients.stream().filter(pair -> isPresent(pair.getGradient())).count();
  }

  /** Whether a variable that is trained has a part in the loss. */
  boolean hasGradient(ModelVariable variable) {
    return gradients.stream()
        .anyMatch(
            pair -> pair.getVariable().equals(variable.handle()) && isPresent(pair.getGradient()));
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  static GradAndVar<? extends TType> pair(Output<?> gradient, Output<?> variable) {
    return new GradAndVar(gradient, variable);
  }

  /** The pair with another gradient: one of the same rows, if the gradient is sparse. */
  static GradAndVar<? extends TType> replaced(
      GradAndVar<? extends TType> pair, Output<?> gradient) {
    Optional<IndexedSlices<?>> slices = IndexedSlices.from(pair);
    return slices.isPresent()
        ? new IndexedSlices<>(numeric(gradient), slices.get().indices()).of(pair.getVariable())
        : pair(gradient, pair.getVariable());
  }

  static boolean isPresent(Output<?> gradient) {
    return gradient != null && !gradient.isClosed();
  }

  @SuppressWarnings("unchecked") // Gradients and losses are numeric.
  static Operand<? extends TNumber> numeric(Output<?> tensor) {
    return (Operand<? extends TNumber>) (Operand<?>) tensor;
  }
}
