package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.CompiledOptimizer;
import dev.adafactor.checkpoint.FolderLock;
import dev.adafactor.checkpoint.Restored;
import dev.adafactor.checkpoint.StoredState;
import dev.adafactor.checkpoint.TrainingState;
import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.finetune.Stopwatch.Part;
import dev.adafactor.finetune.TrainingListener.Plan;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.savedmodel.ModelTowers;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.ProvidedGradients;
import dev.adafactor.savedmodel.SpreadVariables;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.tensorflow.Output;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ConfigProto;

/** A training job being done. */
final class FineTuningRun {
  private static final Logger LOG = System.getLogger(FineTuningRun.class.getName());

  /** The data of a job. */
  private record Data(Dataset training, Optional<Dataset> validation) {}

  private final FineTuning job;
  private RunContext context;

  /** Examples of a run of the graph: those of a step, or of a part of it. */
  private final int partSize;

  private final BatchDivision division;

  FineTuningRun(FineTuning job, RunContext context) {
    this.job = job;
    this.context = context;
    this.partSize = Math.min(job.batchSize, job.microBatchSize.orElse(job.batchSize));
    this.division = BatchDivision.of(job.mesh);
  }

  FineTuningResult run() throws IOException {
    Data data = openData();
    if (job.checkpoints.isPresent()) {
      job.checkpoints.get().requireUsable();
    }
    try (TrainableModel model = load();
        FolderLock lock = new FolderLock()) {
      try {
        return train(model, data, lock);
      } catch (TensorFlowException | TFInvalidArgumentException e) {
        throw explained(model, e);
      }
    }
  }

  private static RuntimeException explained(TrainableModel model, RuntimeException e) {
    return model.cluster().map(cluster -> cluster.explain(e)).orElse(e);
  }

  private FineTuningResult train(TrainableModel model, Data data, FolderLock lock)
      throws IOException {
    if (job.export.isPresent()) {
      model.requireExportable(job.export.get(), job.existing);
      requireStateKept(job.export.get());
    }
    TrainedVariables variables = TrainedVariables.of(trainable(model), job.freeze);
    ModelTowers towers = model.towers(division.devices());
    Task task = Task.training(job, model, towers, variables.trained(), data.training());
    Optional<Task.Validation> validationTask =
        data.validation().map(dataset -> Task.validation(job, model, dataset));
    requireMonitored(validationTask);
    if (job.recording.isPresent()) {
      JobRecorder.requireRecordable(model, towers);
    }
    Examples training = examples(data.training(), task.targets());
    division.requireExamples(training.rows(), job.batchSize, partSize);
    Optional<Examples> validationExamples =
        validationTask.map(
            each -> examples(data.validation().orElseThrow(), List.of(each.targets())));
    context.stopwatch().lap(Part.LOAD);

    Adafactor adafactor = job.optimizer.apply(model.graph());
    SpreadVariables spread = spread(model, variables.trained()).with(towers, variables.trained());
    StepFunction step = task.step().apply(adafactor);
    TrainingGraph graph =
        new TrainingGraph(
            model.session(),
            adafactor,
            step,
            model.variables(),
            spread,
            (job.batchSize - 1) / partSize + 1,
            new TrainingGraph.Randomness(
                towers.towers().stream().flatMap(each -> each.randomness().stream()).toList(),
                job.seed),
            job.watch);
    Optional<TrainingLoop.Keeper> keeper =
        job.earlyStopping.map(
            rule ->
                new TrainingLoop.Keeper(
                    new BestEpoch(rule), kept("best", model, spread, adafactor)));
    // A training signature may change statistics whenever it is run.
    Optional<KeptVariables> untouched =
        model.providedGradients().map(own -> kept("untouched", model, spread, adafactor));
    Optional<TrainingLoop.Validation> validation =
        validationExamples.map(
            examples ->
                new TrainingLoop.Validation(
                    examples, validationTask.orElseThrow().measures(), untouched));
    BatchOrder order =
        job.shuffled
            ? BatchOrder.shuffled(training.rows(), job.batchSize, job.seed)
            : BatchOrder.inFileOrder(training.rows(), job.batchSize);
    Optional<TrainingState> state =
        job.checkpoints.isPresent()
                || job.start.isPresent()
                || job.recording.isPresent()
                || handsBack(model)
            ? Optional.of(state(model, adafactor, variables.trained(), spread, keeper))
            : Optional.empty();
    Optional<CompiledOptimizer> compiled =
        handsBack(model)
            ? Optional.of(new CompiledOptimizer(model, state.orElseThrow()))
            : Optional.empty();
    compiled
        .flatMap(CompiledOptimizer::refusal)
        .ifPresent(refusal -> LOG.log(Level.WARNING, refusal));
    Optional<Checkpoints> checkpoints =
        job.checkpoints.map(
            wish ->
                new Checkpoints(
                    wish, state.orElseThrow(), course(model, training, order, adafactor)));
    Optional<JobRecorder> recorder =
        job.recording.map(
            wish ->
                new JobRecorder(
                    wish,
                    state.orElseThrow(),
                    order,
                    JobDescription.of(
                        job,
                        model,
                        new JobDescription.Data(data.training(), task.targets().get(0)),
                        state.orElseThrow().trained(),
                        step,
                        adafactor)));
    if (recorder.isPresent()) {
      recorder.get().describe();
      context = context.with(recorder.get());
    }
    TrainingLoop loop =
        new TrainingLoop(
            graph,
            training,
            new TrainingLoop.Course(order, job.epochs, partSize),
            validation,
            keeper,
            checkpoints,
            adafactor.numerics(),
            context);
    Plan plan = plan(model, training, order, variables, spread, step, adafactor);
    context.requireWanted();
    if (job.checkpoints.isPresent()) {
      lock.acquire(job.checkpoints.get().folder());
      job.checkpoints.get().requireUsable(); // A job that had the folder may have ended.
    }
    context.tell(listener -> listener.planned(plan));
    boolean resumed = checkpoints.isPresent() && resume(checkpoints.get(), loop, order.batches());
    if (job.start.isPresent() && !resumed) {
      begin(job.start.get(), state.orElseThrow(), loop, graph);
    }
    context.stopwatch().lap(Part.BUILD);

    Optional<Evaluation> before = loop.evaluate();
    context.requireWanted();
    before.ifPresent(result -> context.tell(listener -> listener.evaluatedBefore(result)));
    recorder.ifPresent(each -> each.begin((long) job.epochs * order.batches()));
    Ending ending = loop.run();
    recorder.ifPresent(JobRecorder::finish);
    Optional<Evaluation> after = ending == Ending.INTERRUPTED ? Optional.empty() : loop.evaluate();
    after.ifPresent(result -> context.tell(listener -> listener.evaluatedAfter(result)));
    Optional<Exception> notExported = export(model, compiled);
    context.stopwatch().lap(Part.EXPORT);
    FineTuningResult result =
        new FineTuningResult(
            plan,
            loop.steps(),
            loop.epochs(),
            before,
            after,
            loop.bestEpoch(),
            ending,
            context.stopwatch().timings(),
            notExported.isPresent() ? Optional.empty() : job.export);
    List<Exception> failures =
        Stream.of(
                checkpoints.flatMap(Checkpoints::failure),
                recorder.flatMap(JobRecorder::failure),
                notExported)
            .<Exception>flatMap(Optional::stream)
            .toList();
    if (!failures.isEmpty()) {
      throw new NotWrittenException(result, failures);
    }
    return result;
  }

  private TrainableModel load() throws IOException {
    if (job.cluster.isPresent()) {
      return TrainableModel.load(
          job.model, job.signature, job.mode, job.cluster.get(), job.operationTimeout);
    }
    ConfigProto devices = job.mesh.map(Mesh::config).orElse(ConfigProto.getDefaultInstance());
    return TrainableModel.load(job.model, job.signature, job.mode, devices);
  }

  private SpreadVariables spread(TrainableModel model, List<ModelVariable> trained) {
    return job.mesh
        .filter(Layout::cutsMatrices)
        .map(mesh -> SpreadVariables.over(mesh, model.graph(), trained))
        .orElseGet(() -> SpreadVariables.none(model.graph()));
  }

  /** Whether the export has the state of an optimizer beside the weights. */
  private boolean handsBack(TrainableModel model) {
    return job.export.isPresent() && CompiledOptimizer.isIn(model);
  }

  private Optional<Exception> export(TrainableModel model, Optional<CompiledOptimizer> compiled) {
    if (job.export.isPresent()) {
      try {
        compiled.ifPresent(CompiledOptimizer::update);
        model.export(job.export.get(), job.existing);
      } catch (IOException | IllegalArgumentException e) {
        return Optional.of(e);
      }
    }
    return Optional.empty();
  }

  /** What the job begins with is there after it, too. */
  private void requireStateKept(Path export) throws IOException {
    Optional<Path> state = job.start.map(start -> StoredState.place(start.state()));
    if (state.isPresent() && Files.exists(state.get())) {
      new OutputPath("Cannot export to", export, OutputPath.Kind.WHOLE_FOLDER)
          .requireApartFrom(state.get(), "the state to begin with");
    }
  }

  private static KeptVariables kept(
      String name, TrainableModel model, SpreadVariables spread, Adafactor adafactor) {
    return new KeptVariables(name, model.session(), model.variables(), spread, adafactor);
  }

  private static TrainingState state(
      TrainableModel model,
      Adafactor adafactor,
      List<ModelVariable> trained,
      SpreadVariables spread,
      Optional<TrainingLoop.Keeper> keeper) {
    // What is kept has a value from the beginning, so that it can be written from the beginning.
    keeper.ifPresent(kept -> kept.variables().keep());
    return new TrainingState(
        model,
        adafactor,
        trained,
        spread,
        keeper.map(kept -> kept.variables().variables()).orElse(Map.of()));
  }

  /** What the course of the job depends on, beside the model and the data, by name. */
  private Map<String, String> course(
      TrainableModel model, Examples training, BatchOrder order, Adafactor adafactor) {
    Map<String, String> course = new LinkedHashMap<>();
    course.put("signature", job.signature);
    course.put("mode", model.mode().name().toLowerCase(Locale.ROOT));
    course.put("loss", job.loss.map(Loss::toString).orElse("of its own"));
    course.put("output-name", job.output.orElse("the only one"));
    course.put("output of", job.outputKind.name().toLowerCase(Locale.ROOT));
    course.put("class-weight", new TreeMap<>(job.classWeights).toString());
    course.put("sample-weights", job.data.sampleWeights().isPresent() ? "some" : "none");
    course.put("freeze", job.freeze.toString());
    course.put("validation-split", job.validationSplit.toString());
    course.put("batch-size", Integer.toString(job.batchSize));
    course.put("micro-batch-size", Integer.toString(partSize));
    course.put("shuffle", Boolean.toString(job.shuffled));
    course.put("seed", Long.toString(job.seed));
    course.put("examples", Integer.toString(training.rows()));
    course.put("steps of an epoch", Integer.toString(order.batches()));
    course.put("early-stopping", job.earlyStopping.map(EarlyStopping::toString).orElse("none"));
    course.put("numerics", adafactor.numerics().name());
    course.putAll(OptimizerSettings.of(adafactor));
    return course;
  }

  /** Goes on from a checkpoint of this job, if that is wanted and there is one. */
  private boolean resume(Checkpoints checkpoints, TrainingLoop loop, int stepsPerEpoch)
      throws IOException {
    Optional<Checkpoints.Resumed> resumed = checkpoints.resume(stepsPerEpoch, job.epochs);
    if (resumed.isEmpty() && checkpoints.isToResume()) {
      context.tell(TrainingListener::begunAnew);
    }
    resumed.ifPresent(
        from -> {
          loop.resume(from.progress());
          context.tell(listener -> listener.resumed(from.checkpoint(), from.progress().steps()));
        });
    return resumed.isPresent();
  }

  private void begin(
      FineTuning.Start start, TrainingState state, TrainingLoop loop, TrainingGraph graph)
      throws IOException {
    Restored restored = StoredState.find(start.state()).restore(state, start.extent());
    loop.beginAfter(graph.iterations());
    context.tell(listener -> listener.restored(restored));
  }

  private Data openData() throws IOException {
    Dataset dataset = Dataset.open("", job.data);
    if (job.validationSplit.isPresent()) {
      Dataset.Split split = dataset.split(job.validationSplit.getAsDouble());
      return new Data(split.training(), Optional.of(split.validation()));
    }
    return new Data(
        dataset,
        job.validationData.isEmpty()
            ? Optional.empty()
            : Optional.of(Dataset.open("validation ", job.validationData)));
  }

  private static List<ModelVariable> trainable(TrainableModel model) {
    Optional<ProvidedGradients> provided = model.providedGradients();
    return provided.isPresent()
        ? List.copyOf(provided.get().gradients().keySet())
        : model.variables().stream().filter(ModelVariable::trainable).toList();
  }

  private void requireMonitored(Optional<Task.Validation> validation) {
    boolean monitorsAccuracy =
        job.earlyStopping
            .filter(rule -> rule.monitor() == EarlyStopping.Monitor.ACCURACY)
            .isPresent();
    if (monitorsAccuracy && validation.orElseThrow().measures().accuracy().isEmpty()) {
      throw new IllegalArgumentException(
          "early stopping monitors the accuracy (--monitor), but nothing is right or wrong here:"
              + " monitor the loss");
    }
  }

  private Examples examples(Dataset data, List<Examples.Targets> targets) {
    Examples examples =
        Examples.match(
            data,
            targets,
            (what, row, rows) -> {
              context.requireWanted();
              context.tell(listener -> listener.checking(what, row, rows));
            });
    requireFixedBatchSize(examples);
    return examples;
  }

  private void requireFixedBatchSize(Examples examples) {
    Optional<Long> fixed = examples.fixedBatchSize();
    if (fixed.isPresent() && division.isDivided()) {
      throw new IllegalArgumentException(
          "mesh: %s=%d divides each batch, but the model takes batches of %d alone"
              .formatted(BatchDivision.DIMENSION, division.devices().size(), fixed.get()));
    }
    if (fixed.isPresent()
        && (fixed.get() != partSize
            || job.batchSize % partSize != 0
            || examples.rows() % fixed.get() != 0)) {
      throw new IllegalArgumentException(
          ("the model takes batches of %d; the batch size is %d, in parts of %d, for %d rows: take"
                  + " that batch size, or parts of it, and a multiple of it in rows")
              .formatted(fixed.get(), job.batchSize, partSize, examples.rows()));
    }
  }

  private Plan plan(
      TrainableModel model,
      Examples training,
      BatchOrder order,
      TrainedVariables variables,
      SpreadVariables spread,
      StepFunction step,
      Adafactor adafactor) {
    List<ModelVariable> trained = variables.trained();
    List<Output<?>> parts =
        trained.stream().flatMap(variable -> spread.parts(variable.handle()).stream()).toList();
    return new Plan(
        model.mode(),
        model.modeReason(),
        training.rows(),
        job.epochs,
        order.batches(),
        step.used(),
        trained.size() - step.used(),
        variables.frozen().size(),
        StateSize.of(
            trained.stream()
                .map(variable -> new StateSize.Parameter(variable.shape(), variable.dtype()))
                .toList(),
            StateSize.slots(
                adafactor,
                parts,
                List.of(Adafactor.R, Adafactor.C, Adafactor.V, Adafactor.AVERAGE)),
            StateSize.slots(adafactor, parts, List.of(Adafactor.AVERAGE))));
  }
}
