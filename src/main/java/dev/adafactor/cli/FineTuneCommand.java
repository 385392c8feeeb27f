package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.FineTuningResult;
import dev.adafactor.finetune.Loss;
import dev.adafactor.finetune.StateSize;
import dev.adafactor.finetune.TensorBoardLog;
import dev.adafactor.finetune.TrainingListener;
import dev.adafactor.savedmodel.Mode;
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
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

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

  @Option(names = "--model", paramLabel = "DIR", description = "The SavedModel; only read.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--signature",
      paramLabel = "NAME",
      defaultValue = "serving_default",
      description = "What to train of it. Default: ${DEFAULT-VALUE}.")
  private String signature;

  @Option(
      names = "--mode",
      paramLabel = "training|inference",
      converter = ConstantConverter.OfMode.class,
      description =
          "inference trains the signature as it predicts, the default; training, by the model's"
              + " functions for it, is not possible yet.")
  private Optional<Mode> mode = Optional.empty();

  @Option(
      names = "--features",
      paramLabel = "[INPUT=]FILE.npy",
      converter = InputFile.Converter.class,
      description = "A row of the input for each example. Once for each input.")
  private List<InputFile> features = List.of();

  @Option(
      names = "--labels",
      paramLabel = "FILE.npy",
      description = "A label for each example, as the loss wants them.")
  private Optional<Path> labels = Optional.empty();

  @Option(
      names = "--output-name",
      paramLabel = "NAME",
      description = "The output to take the loss of, where there are several.")
  private Optional<String> outputName = Optional.empty();

  @Option(
      names = "--validation-features",
      paramLabel = "[INPUT=]FILE.npy",
      converter = InputFile.Converter.class,
      description = "Examples to evaluate the model on, before and after.")
  private List<InputFile> validationFeatures = List.of();

  @Option(names = "--validation-labels", paramLabel = "FILE.npy", description = "Their labels.")
  private Optional<Path> validationLabels = Optional.empty();

  @Option(
      names = "--loss",
      paramLabel = "NAME",
      converter = LossConverter.class,
      description =
          "sparse-categorical-crossentropy, categorical-crossentropy, binary-crossentropy or"
              + " mean-squared-error.")
  private Optional<Loss> loss = Optional.empty();

  @Option(names = "--from-logits", description = "The output are logits, not probabilities.")
  private boolean fromLogits;

  @Option(names = "--epochs", paramLabel = "N", defaultValue = "1", description = "Default: 1.")
  private int epochs;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "32",
      description = "Examples of a step. Default: 32. The last smaller batch is kept.")
  private int batchSize;

  @Option(
      names = "--shuffle",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "A new order in each epoch, the default; or that of the file.")
  private boolean shuffle;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "What the order depends on. Default: 0.")
  private long seed;

  @Mixin private AdafactorOptions adafactor = new AdafactorOptions();

  @Option(names = "--export", paramLabel = "DIR", description = "Write the trained model there.")
  private Optional<Path> export = Optional.empty();

  @Option(names = "--overwrite", description = "Replace what is in the folder of --export.")
  private boolean overwrite;

  @Option(names = "--log-dir", paramLabel = "DIR", description = "Write TensorBoard events there.")
  private Optional<Path> logDir = Optional.empty();

  @Option(
      names = "--chart",
      paramLabel = "FILE.png",
      description = "Draw loss and accuracy over the steps.")
  private Optional<Path> chart = Optional.empty();

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Write losses, metrics and timings there.")
  private Optional<Path> json = Optional.empty();

  @Override
  public Integer call() throws IOException {
    if (model.isEmpty()) {
      takeBundledJob();
    }
    FineTuning job = job();
    outputs().require(inputs());
    if (adafactor.asksForCompilation()) {
      NativeEnvironment.loadCompiler();
    }
    FineTuningResult result;
    try (Listeners listeners = new Listeners()) {
      result = job.run(listeners.all());
    }
    conclude(result);
    return ExitCode.OK;
  }

  /** Parses again, with the bundled job's settings for all options that the user left out. */
  private void takeBundledJob() throws IOException {
    ParseResult given = spec.commandLine().getParseResult();
    List<String> arguments =
        new BundledJob(BUNDLED).arguments(spec, option -> isSettled(option, given));
    if (export.isEmpty() || logDir.isEmpty() || chart.isEmpty()) {
      arguments.addAll(outputsLeftOut(newFolder()));
    }
    List<String> line = given.originalArgs();
    arguments.addAll(line.subList(line.indexOf(spec.name()) + 1, line.size()));
    spec.commandLine().parseArgs(arguments.toArray(String[]::new));
    print(
        "java -jar target/adafactor.jar fine-tune "
            + arguments.stream().map(FineTuneCommand::quoted).collect(Collectors.joining(" ")));
  }

  /** A configuration of the optimizer settles all of its options. */
  private boolean isSettled(OptionSpec option, ParseResult given) {
    return given.hasMatchedOption(option.longestName())
        || (given.hasMatchedOption("--optimizer")
            && spec.mixins().get("adafactor").optionsMap().containsKey(option.longestName()));
  }

  private List<String> outputsLeftOut(Path folder) {
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

  private static String quoted(String argument) {
    return argument.matches("[\\w./=:,+-]+")
        ? argument
        : "'" + argument.replace("'", "'\\''") + "'";
  }

  private FineTuning job() throws IOException {
    require(!features.isEmpty(), "--features is missing: a .npy file with a row for each example");
    require(labels.isPresent(), "--labels is missing: a .npy file with a label for each example");
    require(loss.isPresent(), "--loss is missing: sparse-categorical-crossentropy, for example");
    require(epochs > 0, "--epochs is %d; 1 or more is wanted".formatted(epochs));
    require(batchSize > 0, "--batch-size is %d; 1 or more is wanted".formatted(batchSize));
    require(
        validationFeatures.isEmpty() == validationLabels.isEmpty(),
        "--validation-features and --validation-labels go together; one is missing");
    requireOnce("--features", features);
    requireOnce("--validation-features", validationFeatures);
    FineTuning.Builder builder =
        FineTuning.builder(model.orElseThrow(), loss.orElseThrow())
            .signature(signature)
            .epochs(epochs)
            .batchSize(batchSize)
            .seed(seed)
            .optimizer(adafactor.optimizer());
    features.forEach(
        feature ->
            feature
                .input()
                .ifPresentOrElse(
                    input -> builder.features(input, feature.file()),
                    () -> builder.features(feature.file())));
    labels.ifPresent(builder::labels);
    validationFeatures.forEach(
        feature ->
            feature
                .input()
                .ifPresentOrElse(
                    input -> builder.validationFeatures(input, feature.file()),
                    () -> builder.validationFeatures(feature.file())));
    validationLabels.ifPresent(builder::validationLabels);
    outputName.ifPresent(builder::output);
    mode.ifPresent(builder::mode);
    export.ifPresent(builder::export);
    if (fromLogits) {
      builder.fromLogits();
    }
    if (!shuffle) {
      builder.inFileOrder();
    }
    if (overwrite) {
      builder.overwrite();
    }
    return builder.build();
  }

  private Outputs outputs() {
    List<OutputPath> paths = new ArrayList<>();
    export.ifPresent(
        path -> paths.add(new OutputPath("--export", path, OutputPath.Kind.WHOLE_FOLDER)));
    logDir.ifPresent(
        path -> paths.add(new OutputPath("--log-dir", path, OutputPath.Kind.SHARED_FOLDER)));
    chart.ifPresent(path -> paths.add(chartFile(path)));
    json.ifPresent(path -> paths.add(jsonFile(path)));
    return new Outputs(paths);
  }

  private static OutputPath chartFile(Path path) {
    return new OutputPath("--chart", path, OutputPath.Kind.FILE);
  }

  private static OutputPath jsonFile(Path path) {
    return new OutputPath("--json", path, OutputPath.Kind.FILE);
  }

  private List<Outputs.Input> inputs() {
    List<Outputs.Input> inputs = new ArrayList<>();
    model.ifPresent(path -> inputs.add(new Outputs.Input("the input model", path)));
    features.forEach(feature -> inputs.add(new Outputs.Input("--features", feature.file())));
    labels.ifPresent(path -> inputs.add(new Outputs.Input("--labels", path)));
    validationFeatures.forEach(
        feature -> inputs.add(new Outputs.Input("--validation-features", feature.file())));
    validationLabels.ifPresent(path -> inputs.add(new Outputs.Input("--validation-labels", path)));
    adafactor.configuration().ifPresent(path -> inputs.add(new Outputs.Input("--optimizer", path)));
    return inputs;
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

  private void conclude(FineTuningResult result) throws IOException {
    if (result.before().isPresent() && result.before().get().accuracy().isPresent()) {
      print(
          "Accuracy on the validation examples: %.2f%% before, %.2f%% after"
              .formatted(
                  100 * result.before().get().accuracy().getAsDouble(),
                  100 * result.after().orElseThrow().accuracy().orElseThrow()));
    }
    StateSize size = result.plan().stateSize();
    print(
        ("Optimizer state: %,d bytes for %,d bytes of parameters (Adam: %,d; tf_keras's"
                + " Adafactor: %,d)")
            .formatted(size.adafactor(), size.parameters(), size.adam(), size.tfKerasAdafactor()));
    export.ifPresent(folder -> print("SavedModel: " + folder));
    if (chart.isPresent()) {
      LossChart.write(result.steps(), chartFile(chart.get()));
      print("Chart: " + chart.get());
    }
    logDir.ifPresent(
        folder -> print("TensorBoard: tensorboard --logdir " + quoted(folder.toString())));
    if (json.isPresent()) {
      RunReport.write(result, jsonFile(json.get()));
      print("JSON: " + json.get());
    }
  }

  private void print(String line) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }

  /** Those who hear of the job, to be closed when it is over, however it ends. */
  private final class Listeners implements AutoCloseable {
    private final TrainingDisplay display =
        NativeEnvironment.isTerminal()
            ? new ProgressBarDisplay(
                spec.commandLine().getOut(), new ConsoleProgressBarConsumer(System.out))
            : new TrainingDisplay(spec.commandLine().getOut());
    private final Optional<TensorBoardLog> log = logDir.map(TensorBoardLog::new);

    TrainingListener[] all() {
      List<TrainingListener> all = new ArrayList<>(List.of(display));
      log.ifPresent(all::add);
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
