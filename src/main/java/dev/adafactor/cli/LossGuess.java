package dev.adafactor.cli;

import dev.adafactor.finetune.Loss;
import dev.adafactor.savedmodel.ModelDescription.Result;
import java.util.Locale;
import org.tensorflow.ndarray.Shape;

/**
 * Which loss an output may have been made for.
 *
 * @param loss the loss
 * @param fromLogits whether the output are logits
 * @param reason what speaks for it
 */
record LossGuess(Loss loss, boolean fromLogits, String reason) {
  static LossGuess of(Result output) {
    String operation = output.operation().orElse("");
    if (operation.equals("Softmax")) {
      return new LossGuess(
          Loss.SPARSE_CATEGORICAL_CROSSENTROPY, false, "its values come from a Softmax");
    }
    if (operation.equals("Sigmoid")) {
      return new LossGuess(Loss.BINARY_CROSSENTROPY, false, "its values come from a Sigmoid");
    }
    Shape shape = output.tensor().shape();
    if (!shape.isUnknown() && shape.numDimensions() > 1 && shape.get(-1) > 1) {
      return new LossGuess(
          Loss.SPARSE_CATEGORICAL_CROSSENTROPY,
          true,
          "its values, from %s, may be logits of %d classes"
              .formatted(operation.isEmpty() ? "no known operation" : operation, shape.get(-1)));
    }
    return new LossGuess(Loss.MEAN_SQUARED_ERROR, false, "it has one number for each example");
  }

  /** The loss as it is given to {@code fine-tune}. */
  String option() {
    return loss.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
