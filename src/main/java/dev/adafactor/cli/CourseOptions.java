package dev.adafactor.cli;

import dev.adafactor.finetune.EarlyStopping.Monitor;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** How long, and in which steps. */
final class CourseOptions {

  @Option(
      names = "--restore",
      paramLabel = "STATE",
      description =
          "Begin with the state that is in there: the prefix of a checkpoint's files"
              + " (Checkpoint.save, save_weights), a folder of checkpoints, or a SavedModel. Its"
              + " variables, and its Adafactor if it has one: steps, learning rate, averages.")
  Optional<Path> restore = Optional.empty();

  @Option(
      names = "--restore-what-fits",
      paramLabel = "STATE",
      description = "The same for another model or optimizer: leave what it does not have.")
  Optional<Path> restoreWhatFits = Optional.empty();

  @Option(names = "--epochs", paramLabel = "N", description = "Default: 1.")
  int epochs = 1;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Examples of a step. Default: 32. The last smaller batch is kept.")
  int batchSize = 32;

  @Option(
      names = "--micro-batch-size",
      paramLabel = "N",
      description =
          "Compute each step in parts of so many examples: less memory for what the layers make of"
              + " them, as much as the trained variables take for the sum of the gradients.")
  Optional<Integer> microBatchSize = Optional.empty();

  @Option(
      names = "--shuffle",
      negatable = true,
      description = "A new order in each epoch, the default; or that of the file.")
  Optional<Boolean> shuffle = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "What the order and random numbers depend on. Default: 0.")
  long seed;

  @Option(
      names = "--early-stopping",
      paramLabel = "PATIENCE",
      description =
          "End after so many epochs without a better result on the validation examples, and give"
              + " the model the variables of the best epoch back.")
  Optional<Integer> patience = Optional.empty();

  @Option(
      names = "--monitor",
      paramLabel = "loss|accuracy",
      converter = ConstantConverter.OfMonitor.class,
      description = "What that result is. Default: loss.")
  Optional<Monitor> monitor = Optional.empty();

  @Option(
      names = "--min-delta",
      paramLabel = "D",
      description = "By how much it must be better. Default: 0.")
  Optional<Double> minDelta = Optional.empty();
}
