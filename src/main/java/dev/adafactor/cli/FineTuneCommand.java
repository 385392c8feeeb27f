package dev.adafactor.cli;

import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.checkpoint.StoredState;
import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.EarlyStopping;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.FineTuningResult;
import dev.adafactor.finetune.NotWrittenException;
import dev.adafactor.finetune.StateSize;
import dev.adafactor.finetune.TensorBoardLog;
import dev.adafactor.finetune.TrainingListener;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.parity.JobComparison;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarConsumer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** {@code fine-tune}: a training job from the command line. */
@Command(
    name = "fine-tune",
    description = {
      "Fine-tunes a SavedModel that Python exported, and writes it back so that Python loads it.",
      "Without --model: the bundled digits model, with the settings in savedmodels/digits.json."
    },
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    footer = {
      "",
      "Example:",
      "  java -jar target/adafactor.jar fine-tune --model savedmodels/digits \\",
      "    --features savedmodels/digits-data/train-images.npy \\",
      "    --labels savedmodels/digits-data/train-labels.npy \\",
      "    --loss sparse-categorical-crossentropy --epochs 5 --learning-rate 0.03 \\",
      "    --export fine-tuned"
    })
final class FineTuneCommand implements Callable<Integer> {
  private static final Path BUNDLED = Path.of("savedmodels", "digits.json");
  private static final Path BUNDLED_RUNS = Path.of("target", "fine-tune");

  @Spec private CommandSpec spec;

  @ArgGroup(validate = false, heading = "Model:%n")
  private ModelOptions model = new ModelOptions();

  @ArgGroup(validate = false, heading = "Data:%n")
  private DataOptions data = new DataOptions();

  @ArgGroup(validate = false, heading = "Training:%n")
  private CourseOptions course = new CourseOptions();

  @ArgGroup(validate = false, heading = "Optimizer:%n")
  private AdafactorOptions adafactor = new AdafactorOptions();

  @ArgGroup(validate = false, heading = "Devices:%n")
  private DeviceOptions devices = new DeviceOptions();

  @ArgGroup(validate = false, heading = "Results:%n")
  private OutputOptions output = new OutputOptions();

  @ArgGroup(validate = false, heading = "Comparison with Python:%n")
  private ComparisonOptions comparison = new ComparisonOptions();

  @Override
  public Integer call() throws IOException {
    try {
      return fineTune();
    } catch (IllegalArgumentException e) {
      throw DeviceOptions.named(e);
    }
  }

  private int fineTune() throws IOException {
    if (model.model.isEmpty()) {
      takeBundledJob();
    }
    requireComplete();
    outputs().require(inputs());
    if (comparison.python.isEmpty()) {
      return run(job().build(), Optional.empty());
    }
    try (SideBySide both =
        new SideBySide(comparison.python.get(), spec.commandLine().getOut(), terminal())) {
      both.requirePython();
      return run(both.recorded(job()), Optional.of(both));
    }
  }

  private int run(FineTuning job, Optional<SideBySide> both) throws IOException {
    if (adafactor.asksForCompilation()) {
      NativeEnvironment.loadCompiler();
    }
    try (Interruption interruption = new Interruption(spec.commandLine().getErr())) {
      Unwritten unwritten = new Unwritten();
      Optional<FineTuningResult> result = Optional.empty();
      Listeners listeners = new Listeners(both.map(each -> each.checking(interruption.stop())));
      try {
        result = Optional.of(job.run(interruption.stop(), listeners.all()));
      } catch (CancellationException e) {
        print(e.getMessage());
      } catch (ClusterException e) {
        // No cause: picocli would tell that in its place.
        ExecutionException told = new ExecutionException(spec.commandLine(), lost(e));
        told.addSuppressed(e);
        throw told;
      } catch (NotWrittenException e) {
        unwritten.add(e);
        result = Optional.of(e.result());
      } finally {
        unwritten.of(listeners::close);
      }
      if (result.isPresent()) {
        conclude(result.get(), unwritten);
      }
      unwritten.tell();
      if (result.isEmpty() || result.get().ending() == FineTuningResult.Ending.INTERRUPTED) {
        return interruption.exitCode();
      }
      return both.isPresent() ? compare(both.get(), interruption) : ExitCode.OK;
    }
  }

  private String lost(ClusterException e) {
    return DeviceOptions.lost(e)
        + output
            .checkpoint
            .filter(FineTuneCommand::hasCheckpoints)
            .map(folder -> "; --resume goes on from the last checkpoint in '%s'".formatted(folder))
            .orElse("");
  }

  private static boolean hasCheckpoints(Path folder) {
    try {
      return !new CheckpointFolder(folder, 1).isEmpty();
    } catch (IOException e) {
      return false; // What cannot be read is of no use.
    }
  }

  private int compare(SideBySide both, Interruption interruption) throws IOException {
    JobComparison compared;
    try {
      compared = both.compare(interruption.stop());
    } catch (CancellationException e) {
      print("Interrupted: not compared");
      return interruption.exitCode();
    }
    Optional<OutputPath> report = comparison.reportFile();
    if (report.isPresent()) {
      WholeFile.write(report.get(), both.page(compared)::writeTo);
      print("Report: " + report.get().path());
    }
    if (interruption.stop().isStopped()) {
      return interruption.exitCode();
    }
    return compared.judgement().isGood() ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  private Outputs outputs() {
    List<OutputPath> paths = new ArrayList<>(output.outputs().paths());
    comparison.reportFile().ifPresent(paths::add);
    return new Outputs(paths);
  }

  /** Parses again, with the bundled job's settings for all options that the user left out. */
  private void takeBundledJob() throws IOException {
    ParseResult given = spec.commandLine().getParseResult();
    List<String> arguments =
        new BundledJob(BUNDLED).arguments(spec, option -> isSettled(option, given));
    if (output.isIncomplete()) {
      arguments.addAll(output.leftOut(newFolder()));
    }
    List<String> line = given.originalArgs();
    arguments.addAll(line.subList(line.indexOf(spec.name()) + 1, line.size()));
    spec.commandLine().parseArgs(arguments.toArray(String[]::new));
    print(
        "java -jar target/adafactor.jar fine-tune "
            + arguments.stream().map(ShellLine::quoted).collect(Collectors.joining(" ")));
  }

  /** A configuration of the optimizer settles all of its options. */
  private boolean isSettled(OptionSpec option, ParseResult given) {
    return given.hasMatchedOption(option.longestName())
        || (given.hasMatchedOption("--optimizer")
            && spec.findOption("--optimizer").group().equals(option.group()));
  }

  /** A folder of this run alone: it is made here, as another run may start at the same time. */
  private static Path newFolder() throws IOException {
    String time =
        DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss")
            .format(LocalDateTime.now(ZoneId.systemDefault()));
    Files.createDirectories(BUNDLED_RUNS);
    Path folder = BUNDLED_RUNS.resolve(time);
    for (int i = 2; !isMade(folder); i++) {
      folder = BUNDLED_RUNS.resolve(time + "-" + i);
    }
    return folder;
  }

  private static boolean isMade(Path folder) throws IOException {
    try {
      Files.createDirectory(folder);
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    }
  }

  private FineTuning.Builder job() throws IOException {
    FineTuning.Builder builder =
        model.loss.isPresent()
            ? FineTuning.builder(model.model.orElseThrow(), model.loss.get())
            : FineTuning.builder(model.model.orElseThrow());
    addModel(builder);
    addData(builder);
    addCourse(builder);
    Optional<Mesh> mesh = devices.mesh();
    mesh.ifPresent(builder::mesh);
    devices.cluster().ifPresent(builder::cluster);
    devices.operationTimeout().ifPresent(builder::operationTimeout);
    builder.optimizer(adafactor.optimizer(devices));
    output.export.ifPresent(builder::export);
    builder.logVariables(output.variableDetail());
    output.logEvery.ifPresent(builder::logEvery);
    output.checkpoint.ifPresent(builder::checkpoint);
    output.checkpointEvery.ifPresent(builder::checkpointEvery);
    output.keep.ifPresent(builder::keepCheckpoints);
    if (output.resume) {
      builder.resume();
    }
    if (output.overwrite) {
      builder.overwrite();
    }
    return builder;
  }

  /** What the library would find too, said in terms of options. */
  private void requireComplete() {
    require(
        !data.features.isEmpty(), "--features is missing: a .npy file with a row for each example");
    require(
        data.labels.isPresent(), "--labels is missing: a .npy file with a label for each example");
    require(
        course.restore.isEmpty() || course.restoreWhatFits.isEmpty(),
        "--restore and --restore-what-fits exclude each other");
    require(course.epochs > 0, "--epochs is %d; 1 or more is wanted".formatted(course.epochs));
    require(
        course.batchSize > 0,
        "--batch-size is %d; 1 or more is wanted".formatted(course.batchSize));
    course.microBatchSize.ifPresent(
        size -> require(size > 0, "--micro-batch-size is %d; 1 or more is wanted".formatted(size)));
    require(
        data.validationFeatures.isEmpty() == data.validationLabels.isEmpty(),
        "--validation-features and --validation-labels go together; one is missing");
    require(
        data.validationSampleWeights.isEmpty() || data.validationLabels.isPresent(),
        "--validation-sample-weights needs --validation-features and --validation-labels");
    require(
        data.validationSplit.isEmpty() || data.validationFeatures.isEmpty(),
        "--validation-split and --validation-features exclude each other");
    data.validationSplit.ifPresent(
        fraction ->
            require(
                fraction > 0 && fraction < 1,
                "--validation-split is %s; a fraction between 0 and 1 is wanted"
                    .formatted(fraction)));
    require(
        course.patience.isEmpty() || data.hasValidation(),
        "--early-stopping needs --validation-features and --validation-labels, or"
            + " --validation-split");
    require(
        course.patience.isPresent() || (course.monitor.isEmpty() && course.minDelta.isEmpty()),
        "--monitor and --min-delta are for --early-stopping, which is missing");
    require(
        output.checkpoint.isPresent()
            || (output.checkpointEvery.isEmpty() && output.keep.isEmpty() && !output.resume),
        "--checkpoint-every, --keep and --resume are for --checkpoint, which is missing");
    output.checkpointEvery.ifPresent(
        steps ->
            require(steps > 0, "--checkpoint-every is %d; 1 or more is wanted".formatted(steps)));
    output.keep.ifPresent(
        count -> require(count > 0, "--keep is %d; 1 or more is wanted".formatted(count)));
    require(
        output.logDir.isPresent() || (output.logVariables.isEmpty() && output.logEvery.isEmpty()),
        "--log-variables and --log-every are for --log-dir, which is missing");
    output.logEvery.ifPresent(
        steps -> require(steps > 0, "--log-every is %d; 1 or more is wanted".formatted(steps)));
    output.json.ifPresent(
        file ->
            require(
                !file.toString().toLowerCase(Locale.ROOT).matches(".*\\.html?"),
                ("'%s': --report (--json) writes JSON; a page for a browser is --compare-report"
                        + " FILE.html, with --compare-with PYTHON")
                    .formatted(file)));
    require(
        comparison.python.isPresent() || comparison.report.isEmpty(),
        "--compare-report is for --compare-with, which is missing");
    require(
        comparison.python.isEmpty() || !output.resume,
        "--compare-with and --resume exclude each other: a job is compared from its first step");
    require(
        comparison.python.isEmpty()
            || (course.restore.isEmpty() && course.restoreWhatFits.isEmpty()),
        "--compare-with and --restore exclude each other: both begin with the model's own values");
    requireOnce("--features", data.features);
    requireOnce("--validation-features", data.validationFeatures);
  }

  private void addModel(FineTuning.Builder builder) {
    builder.signature(model.signature);
    model.mode.ifPresent(builder::mode);
    model.outputName.ifPresent(builder::output);
    model.freeze.forEach(builder::freeze);
    if (model.fromLogits) {
      builder.fromLogits();
    }
    if (model.allowUncheckedGradients) {
      builder.allowUncheckedGradients();
    }
  }

  private void addData(FineTuning.Builder builder) {
    data.features.forEach(
        feature ->
            feature
                .input()
                .ifPresentOrElse(
                    input -> builder.features(input, feature.file()),
                    () -> builder.features(feature.file())));
    data.labels.ifPresent(builder::labels);
    data.sampleWeights.ifPresent(builder::sampleWeights);
    data.classWeights.forEach(builder::classWeight);
    data.validationFeatures.forEach(
        feature ->
            feature
                .input()
                .ifPresentOrElse(
                    input -> builder.validationFeatures(input, feature.file()),
                    () -> builder.validationFeatures(feature.file())));
    data.validationLabels.ifPresent(builder::validationLabels);
    data.validationSampleWeights.ifPresent(builder::validationSampleWeights);
    data.validationSplit.ifPresent(builder::validationSplit);
  }

  private void addCourse(FineTuning.Builder builder) {
    course.restore.ifPresent(builder::restore);
    course.restoreWhatFits.ifPresent(builder::restoreWhatFits);
    builder.epochs(course.epochs).batchSize(course.batchSize).seed(course.seed);
    course.microBatchSize.ifPresent(builder::microBatchSize);
    if (!course.shuffle.orElse(true)) {
      builder.inFileOrder();
    }
    course.patience.ifPresent(
        patience ->
            builder.earlyStopping(
                new EarlyStopping(
                    patience,
                    course.monitor.orElse(EarlyStopping.Monitor.LOSS),
                    course.minDelta.orElse(0.0))));
  }

  private List<Outputs.Input> inputs() throws IOException {
    List<Outputs.Input> inputs = new ArrayList<>();
    model.model.ifPresent(path -> inputs.add(new Outputs.Input("the input model", path)));
    inputs.addAll(data.inputs());
    addState("--restore", course.restore, inputs);
    addState("--restore-what-fits", course.restoreWhatFits, inputs);
    adafactor.configuration().ifPresent(path -> inputs.add(new Outputs.Input("--optimizer", path)));
    return inputs;
  }

  private static void addState(String option, Optional<Path> state, List<Outputs.Input> inputs)
      throws IOException {
    if (state.isPresent()) {
      for (Path file : StoredState.files(state.get())) {
        inputs.add(new Outputs.Input(option, file));
      }
    }
  }

  private void requireOnce(String option, List<InputFile> files) {
    Map<Optional<String>, Path> known = new HashMap<>();
    for (InputFile file : files) {
      Path other = known.putIfAbsent(file.input(), file.file());
      require(
          other == null,
          "%s %s: '%s' is given for that input already".formatted(option, file, other));
    }
  }

  private void require(boolean condition, String message) {
    if (!condition) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private void conclude(FineTuningResult result, Unwritten unwritten) {
    switch (result.ending()) {
      case COMPLETED -> {}
      case STOPPED_EARLY ->
          print(
              "Stopped early, after epoch %d of %d"
                  .formatted(
                      result.epochs().get(result.epochs().size() - 1).number(),
                      result.plan().epochs()));
      case INTERRUPTED ->
          print(
              result.steps().isEmpty()
                  ? "Interrupted before the next step"
                  : "Interrupted after step "
                      + result.steps().get(result.steps().size() - 1).number());
    }
    result
        .bestEpoch()
        .ifPresent(
            best ->
                print(
                    "Best epoch: %d, with %s; the model has its variables"
                        .formatted(
                            best,
                            TrainingDisplay.describe(
                                result.epochs().get(best - 1).validation().orElseThrow()))));
    if (result.before().isPresent()
        && result.before().get().accuracy().isPresent()
        && result.after().isPresent()) {
      print(
          "Accuracy on the validation examples: %.2f%% before, %.2f%% after"
              .formatted(
                  100 * result.before().get().accuracy().getAsDouble(),
                  100 * result.after().get().accuracy().orElseThrow()));
    }
    StateSize size = result.plan().stateSize();
    print(
        ("Optimizer state: %,d bytes for %,d bytes of parameters (Adam: %,d; tf_keras's"
                + " Adafactor: %,d)")
            .formatted(size.adafactor(), size.parameters(), size.adam(), size.tfKerasAdafactor()));
    result.exported().ifPresent(folder -> print("SavedModel: " + folder));
    output.checkpoint.ifPresent(folder -> print("Checkpoints: " + folder));
    unwritten.of(() -> draw(result));
    output.logDir.ifPresent(
        folder ->
            print("TensorBoard: tensorboard --logdir " + ShellLine.quoted(folder.toString())));
    unwritten.of(() -> report(result));
  }

  private void draw(FineTuningResult result) throws IOException {
    if (output.chartFile().isEmpty()) {
      return;
    }
    if (result.steps().isEmpty()) {
      print("Chart: none, as nothing was left to do");
    } else {
      LossChart.write(result.steps(), result.epochs(), output.chartFile().get());
      print("Chart: " + output.chartFile().get().path());
    }
  }

  private void report(FineTuningResult result) throws IOException {
    if (output.jsonFile().isPresent()) {
      RunReport.write(result, output.jsonFile().get());
      print("JSON: " + output.jsonFile().get().path());
    }
  }

  private void print(String line) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }

  private static TrainingDisplay display(PrintWriter out) {
    Optional<ProgressBarConsumer> terminal = terminal();
    return terminal.isPresent()
        ? new ProgressBarDisplay(out, terminal.get())
        : new TrainingDisplay(out);
  }

  /** Where a bar can be shown. */
  private static Optional<ProgressBarConsumer> terminal() {
    return NativeEnvironment.isTerminal()
        ? Optional.of(new ConsoleProgressBarConsumer(System.out))
        : Optional.empty();
  }

  /** Those who hear of the job, to be closed when it is over, however it ends. */
  private final class Listeners implements AutoCloseable {
    private final TrainingDisplay display = display(spec.commandLine().getOut());
    private final Optional<TensorBoardLog> log = output.logDir.map(TensorBoardLog::new);
    private final Optional<TrainingListener> python;

    Listeners(Optional<TrainingListener> python) {
      this.python = python;
    }

    TrainingListener[] all() {
      List<TrainingListener> all = new ArrayList<>(List.of(display));
      log.ifPresent(all::add);
      python.ifPresent(all::add);
      return all.toArray(TrainingListener[]::new);
    }

    @Override
    public void close() throws IOException {
      display.close();
      if (log.isPresent()) {
        log.get().close();
      }
    }
  }
}
