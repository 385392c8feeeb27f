package dev.adafactor.cli;

import dev.adafactor.savedmodel.ModelDescription;
import dev.adafactor.savedmodel.ModelDescription.Result;
import dev.adafactor.savedmodel.ModelDescription.Signature;
import dev.adafactor.savedmodel.ModelDescription.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A command that trains a signature, to be copied.
 *
 * @param guess the loss, and why that one
 * @param output the output to take it of
 * @param options the command's options
 */
record FineTuneExample(LossGuess guess, Result output, List<List<String>> options) {

  /** An example for the first output that can be trained; empty if there is none. */
  static Optional<FineTuneExample> of(ModelDescription model, Signature signature) {
    return signature.outputs().stream()
        .filter(Result::trainable)
        .findFirst()
        .map(output -> of(model, signature, output));
  }

  private static FineTuneExample of(ModelDescription model, Signature signature, Result output) {
    List<List<String>> options = new ArrayList<>();
    options.add(List.of("--model", model.folder().toString()));
    if (!signature.name().equals("serving_default")) {
      options.add(List.of("--signature", signature.name()));
    }
    for (Tensor input : signature.inputs()) {
      String file = input.name().replaceAll("[^\\w.-]", "_") + ".npy";
      boolean only = signature.inputs().size() == 1;
      options.add(List.of("--features", only ? file : input.name() + "=" + file));
    }
    options.add(List.of("--labels", "labels.npy"));
    if (signature.outputs().size() > 1) {
      options.add(List.of("--output-name", output.tensor().name()));
    }
    LossGuess guess = LossGuess.of(output);
    options.add(List.of("--loss", guess.option()));
    if (guess.fromLogits()) {
      options.add(List.of("--from-logits"));
    }
    options.add(List.of("--export", "fine-tuned"));
    return new FineTuneExample(guess, output, options);
  }

  String text(int width) {
    return "\nTo fine-tune it (the loss is a guess: of output '%s', %s):\n%s"
        .formatted(
            output.tensor().name(),
            guess.reason(),
            ShellLine.wrapped("  java -jar target/adafactor.jar fine-tune", options, width));
  }
}
