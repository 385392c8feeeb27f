package dev.adafactor.cli;

import dev.adafactor.finetune.Loss;
import dev.adafactor.savedmodel.Mode;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What is trained, and what for. */
final class ModelOptions {

  @Option(names = "--model", paramLabel = "DIR", description = "The SavedModel; only read.")
  Optional<Path> model = Optional.empty();

  @Option(
      names = "--signature",
      paramLabel = "NAME",
      description = "What to train of it. Default: serving_default.")
  String signature = "serving_default";

  @Option(
      names = "--mode",
      paramLabel = "training|inference",
      converter = ConstantConverter.OfMode.class,
      description =
          "training: by the functions it was trained with, dropout and all, the default where the"
              + " model carries them. inference: as the signature predicts.")
  Optional<Mode> mode = Optional.empty();

  @Option(
      names = "--output-name",
      paramLabel = "NAME",
      description = "The output to take the loss of, where there are several.")
  Optional<String> outputName = Optional.empty();

  @Option(
      names = "--loss",
      paramLabel = "NAME",
      converter = LossConverter.class,
      description =
          "sparse-categorical-crossentropy, categorical-crossentropy, binary-crossentropy or"
              + " mean-squared-error. Not needed for a signature that returns its loss.")
  Optional<Loss> loss = Optional.empty();

  @Option(names = "--from-logits", description = "The output are logits, not probabilities.")
  boolean fromLogits;

  @Option(
      names = "--freeze",
      paramLabel = "REGEX",
      description = "Variables whose name it is found in are not trained. Repeatable.")
  List<String> freeze = List.of();

  @Option(
      names = "--allow-unchecked-gradients",
      description = "Train also through operations whose gradients were not checked.")
  boolean allowUncheckedGradients;

  static final class LossConverter implements ITypeConverter<Loss> {
    @Override
    public Loss convert(String value) {
      try {
        return Loss.of(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
