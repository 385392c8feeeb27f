package dev.adafactor.cli;

import dev.adafactor.savedmodel.ModelDescription;
import dev.adafactor.savedmodel.ModelDescription.Result;
import dev.adafactor.savedmodel.ModelDescription.Signature;
import dev.adafactor.savedmodel.ModelDescription.Tensor;
import dev.adafactor.savedmodel.ProvidedGradients;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A command that trains a signature, to be copied.
 *
 * @param remark what the user must know of the loss
 * @param options the command's options
 */
record FineTuneExample(String remark, List<List<String>> options) {
  /** Inputs of a signature with gradients of its own that are no features. */
  private static final Set<String> OTHERS =
      Set.of(ProvidedGradients.LABELS, ProvidedGradients.SAMPLE_WEIGHTS);

  /**
   * An example for a signature with gradients of its own, or else for the first output that can be
   * trained; empty if there is none.
   */
  static Optional<FineTuneExample> of(ModelDescription model, Signature signature) {
    if (signature.providesGradients()) {
      return Optional.of(withOwnGradients(model, signature));
    }
    return signature.outputs().stream()
        .filter(Result::trainable)
        .findFirst()
        .map(output -> of(model, signature, output));
  }

  private static FineTuneExample withOwnGradients(ModelDescription model, Signature signature) {
    List<Tensor> features =
        signature.inputs().stream().filter(input -> !OTHERS.contains(input.name())).toList();
    List<List<String>> options = begin(model, signature, features);
    if (signature.inputs().stream()
        .anyMatch(input -> input.name().equals(ProvidedGradients.SAMPLE_WEIGHTS))) {
      options.add(List.of("--sample-weights", "sample_weights.npy"));
    }
    options.add(List.of("--export", "fine-tuned"));
    return new FineTuneExample("by the loss and the gradients that it returns", options);
  }

  private static FineTuneExample of(ModelDescription model, Signature signature, Result output) {
    List<List<String>> options = begin(model, signature, signature.inputs());
    if (signature.outputs().size() > 1) {
      options.add(List.of("--output-name", output.tensor().name()));
    }
    LossGuess guess = LossGuess.of(output);
    options.add(List.of("--loss", guess.option()));
    if (guess.fromLogits()) {
      options.add(List.of("--from-logits"));
    }
    options.add(List.of("--export", "fine-tuned"));
    return new FineTuneExample(
        "the loss is a guess: of output '%s', %s".formatted(output.tensor().name(), guess.reason()),
        options);
  }

  /** The model and its data. */
  private static List<List<String>> begin(
      ModelDescription model, Signature signature, List<Tensor> features) {
    List<List<String>> options = new ArrayList<>();
    options.add(List.of("--model", model.folder().toString()));
    if (!signature.name().equals("serving_default")) {
      options.add(List.of("--signature", signature.name()));
    }
    for (Tensor input : features) {
      String file = input.name().replaceAll("[^\\w.-]", "_") + ".npy";
      options.add(List.of("--features", features.size() == 1 ? file : input.name() + "=" + file));
    }
    options.add(List.of("--labels", "labels.npy"));
    return options;
  }

  String text(int width) {
    return "\nTo fine-tune it (%s):\n%s"
        .formatted(
            remark,
            ShellLine.wrapped("  java -jar target/adafactor.jar fine-tune", options, width));
  }
}
