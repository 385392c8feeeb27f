package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.VariableDetail;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/** What is written; nothing without an option. */
final class OutputOptions {

  @Option(names = "--export", paramLabel = "DIR", description = "Write the trained model there.")
  Optional<Path> export = Optional.empty();

  @Option(names = "--overwrite", description = "Replace what is in the folder of --export.")
  boolean overwrite;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description =
          "Write checkpoints there, as Python's tf.train.Checkpoint(model=..., optimizer=...): at"
              + " the end of each epoch, or as --checkpoint-every says, and when interrupted.")
  Optional<Path> checkpoint = Optional.empty();

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      description = "Steps from one checkpoint to the next.")
  Optional<Integer> checkpointEvery = Optional.empty();

  @Option(
      names = "--keep",
      paramLabel = "N",
      description = "Checkpoints that are kept. Default: 5.")
  Optional<Integer> keep = Optional.empty();

  @Option(
      names = "--resume",
      description = "Go on from the newest checkpoint, if there is one, as if never interrupted.")
  boolean resume;

  @Option(names = "--log-dir", paramLabel = "DIR", description = "Write TensorBoard events there.")
  Optional<Path> logDir = Optional.empty();

  @Option(
      names = "--log-variables",
      paramLabel = "DETAIL",
      converter = ConstantConverter.OfDetail.class,
      description =
          "What the events tell of the variables and their updates: none; summary, of all of them;"
              + " scalars, of each; histograms, of their elements, too. Default: summary.")
  Optional<VariableDetail> logVariables = Optional.empty();

  @Option(
      names = "--log-every",
      paramLabel = "STEPS",
      description =
          "Steps from one such event to the next, after that of the first step; loss and rate are of"
              + " every step. Default: 10.")
  Optional<Integer> logEvery = Optional.empty();

  @Option(
      names = "--chart",
      paramLabel = "FILE.png",
      description = "Draw loss, accuracy and learning rate over the steps.")
  Optional<Path> chart = Optional.empty();

  @Option(
      names = {"--json", "--report"},
      paramLabel = "FILE",
      description =
          "Write losses, metrics and timings there as JSON; its schema is in the jar,"
              + " dev/adafactor/cli/run-report.schema.json.")
  Optional<Path> json = Optional.empty();

  /** All of them. */
  Outputs outputs() {
    List<OutputPath> paths = new ArrayList<>();
    export.ifPresent(
        path -> paths.add(new OutputPath("--export", path, OutputPath.Kind.WHOLE_FOLDER)));
    checkpoint.ifPresent(
        path -> paths.add(new OutputPath("--checkpoint", path, OutputPath.Kind.SHARED_FOLDER)));
    logDir.ifPresent(
        path -> paths.add(new OutputPath("--log-dir", path, OutputPath.Kind.SHARED_FOLDER)));
    chartFile().ifPresent(paths::add);
    jsonFile().ifPresent(paths::add);
    return new Outputs(paths);
  }

  Optional<OutputPath> chartFile() {
    return chart.map(path -> new OutputPath("--chart", path, OutputPath.Kind.FILE));
  }

  Optional<OutputPath> jsonFile() {
    return json.map(path -> new OutputPath("--json", path, OutputPath.Kind.FILE));
  }

  /** What is told of the variables, to those who listen. */
  VariableDetail variableDetail() {
    return logDir.isEmpty() ? VariableDetail.NONE : logVariables.orElse(VariableDetail.SUMMARY);
  }

  /** Options for what a run of the bundled job writes, where they are left out. */
  List<String> leftOut(Path folder) {
    List<String> arguments = new ArrayList<>();
    if (export.isEmpty()) {
      arguments.addAll(List.of("--export", folder.resolve("model").toString()));
    }
    if (logDir.isEmpty()) {
      arguments.addAll(List.of("--log-dir", folder.resolve("events").toString()));
    }
    if (chart.isEmpty()) {
      arguments.addAll(List.of("--chart", folder.resolve("chart.png").toString()));
    }
    return arguments;
  }

  /** Whether {@link #leftOut} has something to add. */
  boolean isIncomplete() {
    return export.isEmpty() || logDir.isEmpty() || chart.isEmpty();
  }
}
