package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.Extent;
import dev.adafactor.graph.PythonRegex;
import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.ClusterSession;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.savedmodel.ExistingFolder;
import dev.adafactor.savedmodel.Mode;
import dev.adafactor.savedmodel.UncheckedGradients;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.tensorflow.DeviceSpec;
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
  final Optional<Loss> loss;
  final DataFiles data;
  final DataFiles validationData;
  final OptionalDouble validationSplit;
  final Map<Integer, Double> classWeights;
  final String signature;
  final Optional<Mode> mode;
  final Optional<String> output;
  final Objective.OutputKind outputKind;
  final int epochs;
  final int batchSize;
  final OptionalInt microBatchSize;
  final long seed;
  final boolean shuffled;
  final Optional<EarlyStopping> earlyStopping;
  final List<Pattern> freeze;
  final UncheckedGradients uncheckedGradients;
  final Function<Graph, Adafactor> optimizer;
  final Optional<Mesh> mesh;
  final Optional<Cluster> cluster;
  final Duration operationTimeout;
  final VariableWatch.Wish watch;
  final Optional<Start> start;
  final Optional<Checkpoints.Wish> checkpoints;
  final Optional<JobRecorder.Wish> recording;
  final Optional<Path> export;
  final ExistingFolder existing;

  private FineTuning(Builder builder) {
    model = builder.model;
    loss = builder.loss;
    data = builder.data;
    validationData = builder.validationData;
    validationSplit = builder.validationSplit;
    classWeights = Map.copyOf(builder.classWeights);
    signature = builder.signature;
    mode = builder.mode;
    output = builder.output;
    outputKind = builder.outputKind;
    epochs = builder.epochs;
    batchSize = builder.batchSize;
    microBatchSize = builder.microBatchSize;
    seed = builder.seed;
    shuffled = builder.shuffled;
    earlyStopping = builder.earlyStopping;
    freeze = List.copyOf(builder.freeze);
    uncheckedGradients = builder.uncheckedGradients;
    mesh = builder.mesh;
    cluster = builder.cluster;
    operationTimeout = builder.operationTimeout.orElse(ClusterSession.DEFAULT_TIMEOUT);
    optimizer = builder.optimizer.orElseGet(() -> byDefault(builder.mesh));
    watch = new VariableWatch.Wish(builder.logVariables, builder.logEvery);
    start = builder.start;
    checkpoints =
        builder.checkpoint.map(
            folder ->
                new Checkpoints.Wish(
                    folder, builder.checkpointEvery, builder.keptCheckpoints, builder.resume));
    recording = builder.recording;
    export = builder.export;
    existing = builder.existing;
  }

  private static Function<Graph, Adafactor> byDefault(Optional<Mesh> mesh) {
    return graph -> {
      Adafactor.Builder adafactor = Adafactor.builder(graph);
      mesh.ifPresent(adafactor::mesh);
      return adafactor.build();
    };
  }

  /**
   * A state to begin with.
   *
   * @param state where it is
   * @param extent how much of it has to be there
   */
  record Start(Path state, Extent extent) {}

  /**
   * Starts the description of a job, which has tf_keras's defaults: one epoch, shuffled, in batches
   * of 32.
   *
   * @param model folder of the SavedModel; it is only read
   * @param loss what training minimizes
   */
  public static Builder builder(Path model, Loss loss) {
    return new Builder(model, Optional.of(loss));
  }

  /**
   * {@link #builder(Path, Loss)} for a signature that returns loss and gradients itself, and, if it
   * can, the accuracy: the validation data are measured by these too.
   *
   * @param model folder of the SavedModel; it is only read
   */
  public static Builder builder(Path model) {
    return new Builder(model, Optional.empty());
  }

  /** Describes a job. */
  public static final class Builder {
    private final Path model;
    private final Optional<Loss> loss;
    private DataFiles data = DataFiles.NONE;
    private DataFiles validationData = DataFiles.NONE;
    private OptionalDouble validationSplit = OptionalDouble.empty();
    private final Map<Integer, Double> classWeights = new HashMap<>();
    private String signature = "serving_default";
    private Optional<Mode> mode = Optional.empty();
    private Optional<String> output = Optional.empty();
    private Objective.OutputKind outputKind = Objective.OutputKind.PROBABILITIES;
    private int epochs = 1;
    private int batchSize = 32;
    private OptionalInt microBatchSize = OptionalInt.empty();
    private long seed;
    private boolean shuffled = true;
    private Optional<EarlyStopping> earlyStopping = Optional.empty();
    private final List<Pattern> freeze = new ArrayList<>();
    private UncheckedGradients uncheckedGradients = UncheckedGradients.REFUSE;
    private Optional<Mesh> mesh = Optional.empty();
    private Optional<Cluster> cluster = Optional.empty();
    private Optional<Duration> operationTimeout = Optional.empty();
    private Optional<Function<Graph, Adafactor>> optimizer = Optional.empty();
    private VariableDetail logVariables = VariableDetail.NONE;
    private int logEvery = 10;
    private Optional<Start> start = Optional.empty();
    private Optional<Path> checkpoint = Optional.empty();
    private OptionalInt checkpointEvery = OptionalInt.empty();
    private int keptCheckpoints = 5;
    private boolean resume;
    private Optional<JobRecorder.Wish> recording = Optional.empty();
    private Optional<Path> export = Optional.empty();
    private ExistingFolder existing = ExistingFolder.REFUSE;

    private Builder(Path model, Optional<Loss> loss) {
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

    /**
     * A {@code .npy} file with a row of the model's only input for each example, or a folder of
     * such files.
     *
     * <p>The files of a folder, all those named {@code *.npy}, are taken one after the other,
     * sorted by name, numbers in the names by their value: {@code part-2} is before {@code
     * part-10}. Files are mapped, not read whole: they may be larger than memory.
     */
    public Builder features(Path files) {
      return features(DataFiles.ONLY_INPUT, files);
    }

    /** {@link #features(Path)} for the named one of several inputs. */
    public Builder features(String input, Path files) {
      data = data.withFeatures(input, files);
      return this;
    }

    /** A label for each example, as the loss wants them; files as of {@link #features(Path)}. */
    public Builder labels(Path files) {
      data = data.withLabels(files);
      return this;
    }

    /**
     * A weight for each example, or for each position of it, by which its loss is multiplied; files
     * as of {@link #features(Path)}. The loss of a batch is divided by the number of examples, not
     * by the sum of the weights; accuracy does not heed them.
     */
    public Builder sampleWeights(Path files) {
      data = data.withSampleWeights(files);
      return this;
    }

    /**
     * A weight for all examples of a class, in training alone; it multiplies the sample weight.
     *
     * @param label the class, from 0; the examples of classes without a weight count 1
     * @throws IllegalArgumentException if the weight is not finite
     */
    public Builder classWeight(int label, double weight) {
      require(
          Double.isFinite(weight),
          "weight of class %d is %s; a finite number is wanted".formatted(label, weight));
      classWeights.put(label, weight);
      return this;
    }

    /** {@link #features(Path)} for the validation data. */
    public Builder validationFeatures(Path files) {
      return validationFeatures(DataFiles.ONLY_INPUT, files);
    }

    /** {@link #features(String, Path)} for the validation data. */
    public Builder validationFeatures(String input, Path files) {
      validationData = validationData.withFeatures(input, files);
      return this;
    }

    /** {@link #labels} for the validation data. */
    public Builder validationLabels(Path files) {
      validationData = validationData.withLabels(files);
      return this;
    }

    /** {@link #sampleWeights} for the validation data. */
    public Builder validationSampleWeights(Path files) {
      validationData = validationData.withSampleWeights(files);
      return this;
    }

    /**
     * Keeps the last examples of the files for validation, in the place of validation data of their
     * own.
     *
     * @param fraction how many of all, between 0 and 1
     */
    public Builder validationSplit(double fraction) {
      require(
          fraction > 0 && fraction < 1,
          "validation split is %s; a fraction between 0 and 1 is wanted".formatted(fraction));
      validationSplit = OptionalDouble.of(fraction);
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

    /**
     * Computes each step in parts of so many examples, 1 or more, to take less memory: gradient,
     * loss and accuracy are still those of the whole batch. The gradients' sum takes as much memory
     * as the variables that are trained; that of an embedding, as the rows that the batch looks up.
     * In mode training, the statistics of batch normalization are those of a part, and each part
     * draws random numbers of its own.
     */
    public Builder microBatchSize(int size) {
      microBatchSize = OptionalInt.of(positive("micro batch size", size));
      return this;
    }

    /** Ends training when the validation data, which it needs, say that it does not help. */
    public Builder earlyStopping(EarlyStopping rule) {
      earlyStopping = Optional.of(rule);
      return this;
    }

    /**
     * Leaves variables as they are; the optimizer has no state for them. May be called again, for
     * more of them.
     *
     * @param regex a variable is meant if this is found anywhere in its name, as Python's {@code
     *     re.search} finds it
     * @throws IllegalArgumentException if it is no regular expression
     */
    public Builder freeze(String regex) {
      freeze.add(PythonRegex.compile("freeze", regex));
      return this;
    }

    /**
     * Trains also through operations whose gradients were not checked against Python's, as far as
     * TensorFlow has one; they may be wrong.
     */
    public Builder allowUncheckedGradients() {
      uncheckedGradients = UncheckedGradients.ALLOW;
      return this;
    }

    /** What the order of the examples, and random numbers, depend on; 0 if not given. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Takes the examples in the order of the files, in every epoch. */
    public Builder inFileOrder() {
      shuffled = false;
      return this;
    }

    /**
     * Makes the optimizer in the model's graph; if not given, it is that of {@link
     * Adafactor#builder} as it is, with the job's {@link #mesh}.
     */
    public Builder optimizer(Function<Graph, Adafactor> maker) {
      optimizer = Optional.of(maker);
      return this;
    }

    /**
     * Has several devices do the job. The optimizer must be made with the same mesh.
     *
     * <p>Along the dimensions {@code x} and {@code y} the variables that are trained, and the
     * optimizer's state, are spread, as {@link Layout#ofMatrices} says: their updates are computed
     * there. The model's functions read wholes, which the first device has.
     *
     * <p>Along {@code batch} each batch is divided: the first device of each part has a copy of the
     * variables and computes the loss and its gradients by a part of the examples, of which there
     * must be one at least. The mean over the batch trains. Evaluation is the first device's.
     *
     * <p>Results are the same up to rounding, but for what depends on the whole batch: batch
     * normalization takes the statistics of a part, and moves by the mean over the parts, as in
     * Python's {@code MirroredStrategy}; random numbers are others for each part. Files are of the
     * same kind: a checkpoint may be {@link #resume resumed} on another mesh, or none.
     *
     * @param mesh of devices of this process, such as {@link Mesh#virtualCpus}, or of {@link
     *     #cluster}
     * @throws IllegalArgumentException if it has none of these dimensions
     */
    public Builder mesh(Mesh mesh) {
      require(
          Layout.cutsMatrices(mesh) || mesh.containsDim(BatchDivision.DIMENSION),
          ("mesh: %s has neither x, along which rows are cut, nor y, along which columns are, nor"
                  + " batch, along which batches are divided")
              .formatted(mesh));
      this.mesh = Optional.of(mesh);
      return this;
    }

    /**
     * Has the job done by the processes of a cluster: those of the {@link #mesh}, which is needed,
     * do what it says, the first process of all computes the rest. Data are fed, and files read and
     * written, by this process: the others need no file system that is shared with it.
     *
     * <p>Where one of the processes is lost, {@link FineTuning#run} throws a {@link
     * dev.adafactor.mesh.ClusterException} that names it. Another run may {@link #resume} from the
     * last checkpoint when it is back.
     */
    public Builder cluster(Cluster processes) {
      cluster = Optional.of(processes);
      return this;
    }

    /**
     * The longest that a call of the {@link #cluster} may take, such as that which does a step; 5
     * minutes if not given. A process that gives no answer is noticed by then.
     *
     * @throws IllegalArgumentException if it is less than a millisecond, or more than 24 days
     */
    public Builder operationTimeout(Duration longest) {
      require(
          longest.toMillis() > 0 && longest.toMillis() <= Integer.MAX_VALUE,
          "operation timeout is %s; from 1 ms to 24 days are wanted".formatted(longest));
      operationTimeout = Optional.of(longest);
      return this;
    }

    /**
     * How much {@link TrainingListener#reported listeners} are told of the variables and their
     * updates; nothing if not given.
     */
    public Builder logVariables(VariableDetail detail) {
      logVariables = detail;
      return this;
    }

    /**
     * How many steps there are from one such report to the next, 1 or more; 10 if not given. The
     * first step's is always among them.
     */
    public Builder logEvery(int steps) {
      logEvery = positive("log every", steps);
      return this;
    }

    /**
     * Begins with a state that Python or Java has written: the model's variables and, if it is in
     * there, the optimizer's state, with its steps, its position in a schedule, its learning rate
     * and its moving averages. The order of the data begins anew; a job {@linkplain #resume()
     * resumed} from its own checkpoints does not come back to it.
     *
     * <p>{@link FineTuning#run} throws an {@link IllegalArgumentException} if it is that of another
     * model or optimizer, and names the first differences.
     *
     * @param state the prefix of a checkpoint's files ({@code Checkpoint.save}, {@code
     *     save_weights}), a folder of checkpoints, of which the newest that is whole is taken, or
     *     the folder of a SavedModel, for instance that which is trained, of a model that was
     *     compiled with an Adafactor
     */
    public Builder restore(Path state) {
      start = Optional.of(new Start(state, Extent.MODEL));
      return this;
    }

    /**
     * {@link #restore} of whatever has the same place, shape and type; the rest stays as it is.
     * {@link TrainingListener#restored} tells which is which.
     */
    public Builder restoreWhatFits(Path state) {
      start = Optional.of(new Start(state, Extent.WHAT_FITS));
      return this;
    }

    /**
     * Writes checkpoints to a folder: at the end of each epoch or {@link #checkpointEvery every so
     * many steps}, at the end, and when the job is interrupted. They are those of Python's {@code
     * tf.train.Checkpoint(model=model, optimizer=optimizer)}. None is written of variables that are
     * not finite.
     *
     * <p>A folder is for one job at a time: {@link FineTuning#run} refuses one that another job, of
     * this process or another, is writing to. That leaves an empty file {@code .lock} in it.
     *
     * @param folder where they are; there must be none yet, unless the job {@link #resume() goes on
     *     from them}
     */
    public Builder checkpoint(Path folder) {
      checkpoint = Optional.of(folder);
      return this;
    }

    /** How many steps there are from one checkpoint to the next, 1 or more. */
    public Builder checkpointEvery(int steps) {
      checkpointEvery = OptionalInt.of(positive("checkpoint every", steps));
      return this;
    }

    /** How many checkpoints are kept, 1 or more; the newest 5 if not given. */
    public Builder keepCheckpoints(int count) {
      keptCheckpoints = positive("keep checkpoints", count);
      return this;
    }

    /**
     * Goes on from the newest checkpoint that is whole, as if the job had never been interrupted;
     * from the beginning, if there is none. The job has to be the same, but for the number of
     * epochs.
     */
    public Builder resume() {
      resume = true;
      return this;
    }

    /**
     * Records the job, so that Python can do the same one: what it is, the rows of each step, and
     * the state after the first steps, some between and the last. {@code same_job.py} says what is
     * in the folder. {@code fine-tune --compare-with} compares by it. When listeners hear of the
     * plan, {@code same_job.py --check} can look whether Python can do the job.
     *
     * <p>A job that draws random numbers cannot be recorded, as Python draws others; nor one that
     * goes on from a checkpoint.
     *
     * @param folder exists, and is empty
     * @param bytes about how many the states may take together; there are always those of the start
     *     and of the last step
     */
    public Builder record(Path folder, long bytes) {
      recording = Optional.of(new JobRecorder.Wish(folder, bytes));
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
     * @throws IllegalArgumentException if something is missing, or does not go together
     */
    public FineTuning build() {
      require(
          !data.features().isEmpty(),
          "features are missing: .npy files with a row for each example");
      require(
          data.labels().isPresent(), "labels are missing: a .npy file with a row for each example");
      require(
          validationData.features().isEmpty() == validationData.labels().isEmpty(),
          "validation features and validation labels go together: one of them is missing");
      require(
          validationData.sampleWeights().isEmpty() || validationData.labels().isPresent(),
          "validation sample weights need validation features and labels");
      require(
          validationSplit.isEmpty() || validationData.isEmpty(),
          "validation split and validation data exclude each other");
      require(
          earlyStopping.isEmpty() || validationSplit.isPresent() || !validationData.isEmpty(),
          "early stopping needs validation data, or a validation split");
      require(
          checkpoint.isPresent() || (checkpointEvery.isEmpty() && !resume),
          "checkpoint every and resume need a folder of checkpoints");
      require(
          recording.isEmpty() || !resume,
          "record and resume exclude each other: the steps before the checkpoint were not recorded");
      require(
          recording.isEmpty() || start.isEmpty(),
          "record and restore exclude each other: what is recorded begins with the model's values");
      require(
          operationTimeout.isEmpty() || cluster.isPresent(),
          "operation timeout is for the calls of a cluster, which is missing");
      cluster.ifPresent(this::requireMeshOn);
      return new FineTuning(this);
    }

    private void requireMeshOn(Cluster processes) {
      require(
          mesh.isPresent(),
          "cluster needs a mesh, which says how the variables are laid out over its processes");
      for (int device = 0; device < mesh.get().size(); device++) {
        DeviceSpec spec = mesh.get().device(device);
        require(
            spec.job() != null
                && spec.task() != null
                && processes.tasks().contains(new dev.adafactor.mesh.Task(spec.job(), spec.task())),
            "mesh: %s is on none of the processes of the cluster, %s".formatted(spec, processes));
      }
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
   * @throws NotWrittenException if the job was done, and its model or its last checkpoint cannot be
   *     written
   * @throws IOException if a file cannot be read or written
   * @throws IllegalArgumentException if model, data, loss and options do not fit together
   * @throws NotFiniteLossException if the loss becomes NaN or infinite; nothing is exported
   * @throws dev.adafactor.mesh.ClusterException if a process of the cluster is lost; nothing is
   *     exported
   */
  public FineTuningResult run(TrainingListener... listeners) throws IOException {
    return run(new StopRequest(), listeners);
  }

  /**
   * {@link #run(TrainingListener...)}, which can be stopped: the job ends after the step that it is
   * in, gives the variables their final values and exports them; it evaluates nothing more.
   *
   * @param stop stops the job, from another thread or a listener
   * @throws CancellationException if it is stopped before the first step
   */
  public FineTuningResult run(StopRequest stop, TrainingListener... listeners) throws IOException {
    return new FineTuningRun(this, new RunContext(stop, List.of(listeners), new Stopwatch())).run();
  }
}
