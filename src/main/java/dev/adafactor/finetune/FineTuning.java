package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.savedmodel.ExistingFolder;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.tensorflow.Graph;

/**
 * A training job: fine-tunes a SavedModel that Python exported with Adafactor, and writes it back
 * so that Python loads it.
 *
 * <pre>{@code
 * FineTuningResult result =
 *     FineTuning.builder(Path.of("savedmodels/digits"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
 *         .features(Path.of("train-images.npy"))
 *         .labels(Path.of("train-labels.npy"))
 *         .epochs(24)
 *         .optimizer(graph -> Adafactor.builder(graph).learningRate(0.03).build())
 *         .export(Path.of("fine-tuned"))
 *         .build()
 *         .run();
 * }</pre>
 *
 * <p>The job is checked as a whole before the first step: the files, their shapes, types and values
 * against the model and the loss, the folder to export to. After the last step the variables get
 * their final values by {@link Adafactor#finalizeVariableValues()}, as {@code fit} does it.
 */
public final class FineTuning {
  final Path model;
  final Loss loss;
  final Map<String, Path> features;
  final Map<String, Path> validationFeatures;
  final String signature;
  final Optional<Mode> mode;
  final Path labels;
  final Optional<Path> validationLabels;
  final Optional<String> output;
  final Objective.OutputKind outputKind;
  final int epochs;
  final int batchSize;
  final long seed;
  final boolean shuffled;
  final Function<Graph, Adafactor> optimizer;
  final Optional<Path> export;
  final ExistingFolder existing;

  private FineTuning(Builder builder) {
    model = builder.model;
    loss = builder.loss;
    features = Collections.unmodifiableMap(new LinkedHashMap<>(builder.features));
    validationFeatures =
        Collections.unmodifiableMap(new LinkedHashMap<>(builder.validationFeatures));
    signature = builder.signature;
    mode = builder.mode;
    labels = builder.labels.orElseThrow();
    validationLabels = builder.validationLabels;
    output = builder.output;
    outputKind = builder.outputKind;
    epochs = builder.epochs;
    batchSize = builder.batchSize;
    seed = builder.seed;
    shuffled = builder.shuffled;
    optimizer = builder.optimizer;
    export = builder.export;
    existing = builder.existing;
  }

  /**
   * Starts the description of a job, which has tf_keras's defaults: one epoch, shuffled, in batches
   * of 32.
   *
   * @param model folder of the SavedModel; it is only read
   * @param loss what training minimizes
   */
  public static Builder builder(Path model, Loss loss) {
    return new Builder(model, loss);
  }

  /** Describes a job. */
  public static final class Builder {
    private final Path model;
    private final Loss loss;
    private final Map<String, Path> features = new LinkedHashMap<>();
    private final Map<String, Path> validationFeatures = new LinkedHashMap<>();
    private String signature = "serving_default";
    private Optional<Mode> mode = Optional.empty();
    private Optional<Path> labels = Optional.empty();
    private Optional<Path> validationLabels = Optional.empty();
    private Optional<String> output = Optional.empty();
    private Objective.OutputKind outputKind = Objective.OutputKind.PROBABILITIES;
    private int epochs = 1;
    private int batchSize = 32;
    private long seed;
    private boolean shuffled = true;
    private Function<Graph, Adafactor> optimizer = Adafactor::new;
    private Optional<Path> export = Optional.empty();
    private ExistingFolder existing = ExistingFolder.REFUSE;

    private Builder(Path model, Loss loss) {
      this.model = model;
      this.loss = loss;
    }

    /** The signature to train; {@code serving_default} if not given. */
    public Builder signature(String name) {
      signature = name;
      return this;
    }

    /** Which of the model's functions to train; {@code TRAINING} where the model carries it. */
    public Builder mode(Mode wanted) {
      mode = Optional.of(wanted);
      return this;
    }

    /** A {@code .npy} file with a row of the model's only input for each example. */
    public Builder features(Path file) {
      return features(Examples.ONLY_INPUT, file);
    }

    /** A {@code .npy} file with a row of the named input for each example. */
    public Builder features(String input, Path file) {
      features.put(input, file);
      return this;
    }

    /** A {@code .npy} file with a label for each example, as the loss wants them. */
    public Builder labels(Path file) {
      labels = Optional.of(file);
      return this;
    }

    /** {@link #features(Path)} for the validation data. */
    public Builder validationFeatures(Path file) {
      return validationFeatures(Examples.ONLY_INPUT, file);
    }

    /** {@link #features(String, Path)} for the validation data. */
    public Builder validationFeatures(String input, Path file) {
      validationFeatures.put(input, file);
      return this;
    }

    /** {@link #labels} for the validation data. */
    public Builder validationLabels(Path file) {
      validationLabels = Optional.of(file);
      return this;
    }

    /** The output that the loss is taken of; not needed where the signature has but one. */
    public Builder output(String name) {
      output = Optional.of(name);
      return this;
    }

    /** The output are logits, not probabilities. */
    public Builder fromLogits() {
      outputKind = Objective.OutputKind.LOGITS;
      return this;
    }

    /** How many times every example is seen, 1 or more. */
    public Builder epochs(int count) {
      epochs = positive("epochs", count);
      return this;
    }

    /** Examples of a step, 1 or more; the last step of an epoch takes those that are left. */
    public Builder batchSize(int size) {
      batchSize = positive("batch size", size);
      return this;
    }

    /** What the order of the examples depends on; 0 if not given. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Takes the examples in the order of the files, in every epoch. */
    public Builder inFileOrder() {
      shuffled = false;
      return this;
    }

    /** Makes the optimizer in the model's graph; {@code Adafactor::new} if not given. */
    public Builder optimizer(Function<Graph, Adafactor> maker) {
      optimizer = maker;
      return this;
    }

    /** Where the trained SavedModel is written. */
    public Builder export(Path folder) {
      export = Optional.of(folder);
      return this;
    }

    /** A SavedModel that is in the folder to export to is replaced. */
    public Builder overwrite() {
      existing = ExistingFolder.REPLACE;
      return this;
    }

    /**
     * The job.
     *
     * @throws IllegalArgumentException if features or labels are missing
     */
    public FineTuning build() {
      require(!features.isEmpty(), "features are missing: .npy files with a row for each example");
      require(labels.isPresent(), "labels are missing: a .npy file with a row for each example");
      require(
          validationFeatures.isEmpty() == validationLabels.isEmpty(),
          "validation features and validation labels go together: one of them is missing");
      return new FineTuning(this);
    }

    private static void require(boolean condition, String message) {
      if (!condition) {
        throw new IllegalArgumentException(message);
      }
    }

    private static int positive(String name, int value) {
      require(value > 0, "%s is %d; 1 or more is wanted".formatted(name, value));
      return value;
    }
  }

  /**
   * Does the job.
   *
   * @param listeners hear of it as it goes on
   * @throws IOException if a file cannot be read or written
   * @throws IllegalArgumentException if model, data, loss and options do not fit together
   * @throws NotFiniteLossException if the loss becomes NaN or infinite
   */
  public FineTuningResult run(TrainingListener... listeners) throws IOException {
    return new FineTuningRun(this, List.of(listeners)).run();
  }
}
