package dev.adafactor.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import picocli.CommandLine.Option;

/** What it is trained on, and what it is judged by. */
final class DataOptions {

  @Option(
      names = "--features",
      paramLabel = "[INPUT=]FILE.npy",
      converter = InputFile.Converter.class,
      description =
          "A row of the input for each example. Once for each input. Wherever a FILE.npy is taken,"
              + " so is a folder of them, in the order of their names, part-2 before part-10.")
  List<InputFile> features = List.of();

  @Option(
      names = "--labels",
      paramLabel = "FILE.npy",
      description = "A label for each example, as the loss wants them.")
  Optional<Path> labels = Optional.empty();

  @Option(
      names = "--sample-weights",
      paramLabel = "FILE.npy",
      description = "What the loss of each example, or of each of its positions, is multiplied by.")
  Optional<Path> sampleWeights = Optional.empty();

  @Option(
      names = "--class-weight",
      paramLabel = "CLASS=WEIGHT",
      description = "A weight for the examples of a class, in training alone. Repeatable.")
  Map<Integer, Double> classWeights = new TreeMap<>();

  @Option(
      names = "--validation-features",
      paramLabel = "[INPUT=]FILE.npy",
      converter = InputFile.Converter.class,
      description = "Examples to evaluate the model on: before, after each epoch, and at the end.")
  List<InputFile> validationFeatures = List.of();

  @Option(names = "--validation-labels", paramLabel = "FILE.npy", description = "Their labels.")
  Optional<Path> validationLabels = Optional.empty();

  @Option(
      names = "--validation-sample-weights",
      paramLabel = "FILE.npy",
      description = "Their weights.")
  Optional<Path> validationSampleWeights = Optional.empty();

  @Option(
      names = "--validation-split",
      paramLabel = "F",
      description = "Keep that fraction of the examples for it, the last ones of the files.")
  Optional<Double> validationSplit = Optional.empty();

  boolean hasValidation() {
    return !validationFeatures.isEmpty() || validationSplit.isPresent();
  }

  /** All files that are read, with the options that name them. */
  List<Outputs.Input> inputs() {
    List<Outputs.Input> inputs = new ArrayList<>();
    features.forEach(feature -> inputs.add(new Outputs.Input("--features", feature.file())));
    add(inputs, "--labels", labels);
    add(inputs, "--sample-weights", sampleWeights);
    validationFeatures.forEach(
        feature -> inputs.add(new Outputs.Input("--validation-features", feature.file())));
    add(inputs, "--validation-labels", validationLabels);
    add(inputs, "--validation-sample-weights", validationSampleWeights);
    return inputs;
  }

  private static void add(List<Outputs.Input> inputs, String option, Optional<Path> file) {
    file.ifPresent(path -> inputs.add(new Outputs.Input(option, path)));
  }
}
