package dev.adafactor.finetune;

import dev.adafactor.Numerics;
import dev.adafactor.finetune.BestEpoch.Verdict;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** The steps and epochs of a job. */
final class TrainingLoop {

  /**
   * The validation data, and what is measured of them.
   *
   * @param untouched gives back what measuring changes, where it can change something
   */
  record Validation(Examples examples, Measures measures, Optional<KeptVariables> untouched) {}

  /** The best epoch so far, and its variables. */
  record Keeper(BestEpoch best, KeptVariables variables) {}

  /**
   * How the loop goes over the examples.
   *
   * @param partSize examples of a run: those of a step, or fewer
   */
  record Course(BatchOrder order, int epochs, int partSize) {}

  private final TrainingGraph graph;
  private final Examples examples;
  private final Course course;
  private final Optional<Validation> validation;
  private final Optional<Keeper> keeper;
  private final Optional<Checkpoints> checkpoints;
  private final Numerics numerics;
  private final RunContext context;
  private final List<Step> steps = new ArrayList<>();
  private final List<Epoch> epochs = new ArrayList<>();

  /** Steps that the optimizer had done when the job began. */
  private long before;

  /** Steps that are done, those before the job was resumed among them. */
  private long done;

  /** Epochs that are done, likewise. */
  private int finished;

  /** Over the steps of the epoch that is not done. */
  private Evaluation.Accumulator mean = new Evaluation.Accumulator();

  /** The rows of the last step, or of a part of it. */
  private int[] last = {};

  TrainingLoop(
      TrainingGraph graph,
      Examples examples,
      Course course,
      Optional<Validation> validation,
      Optional<Keeper> keeper,
      Optional<Checkpoints> checkpoints,
      Numerics numerics,
      RunContext context) {
    this.graph = graph;
    this.examples = examples;
    this.course = course;
    this.validation = validation;
    this.keeper = keeper;
    this.checkpoints = checkpoints;
    this.numerics = numerics;
    this.context = context;
  }

  /** Begins with an optimizer that has done steps already, in another job. */
  void beginAfter(long iterations) {
    before = iterations;
  }

  /** Goes on where a job was. */
  void resume(Progress progress) {
    before = progress.before();
    done = progress.steps();
    finished = progress.finished();
    epochs.addAll(progress.epochs());
    mean = progress.epoch();
    keeper.ifPresent(kept -> progress.best().ifPresent(kept.best()::resume));
  }

  /** What a checkpoint notes. */
  private Progress progress() {
    return new Progress(
        before, done, finished, epochs(), mean, keeper.map(kept -> kept.best().state()));
  }

  private void save() {
    if (checkpoints.isPresent()) {
      requireFiniteVariables();
      checkpoints.get().save(progress());
    }
  }

  /**
   * Trains, and gives the variables their final values.
   *
   * @throws NotFiniteLossException if the loss or a variable becomes NaN or infinite
   */
  Ending run() {
    Ending ending = train();
    context.tell(listener -> listener.trained(ending));
    keeper
        .filter(kept -> kept.best().number().isPresent())
        .ifPresent(kept -> kept.variables().restore());
    graph.finish();
    requireFiniteVariables();
    if (last.length > 0 && ending != Ending.INTERRUPTED && !graph.changesWhatItMeasures()) {
      requireFiniteLoss();
    }
    context.stopwatch().lap(Stopwatch.Part.TRAIN);
    return ending;
  }

  private void requireFiniteVariables() {
    List<String> notFinite = graph.variablesNotFinite();
    if (!notFinite.isEmpty()) {
      throw NotFiniteLossException.after(done, notFinite, circumstances());
    }
  }

  private NotFiniteLossException.Circumstances circumstances() {
    return new NotFiniteLossException.Circumstances(
        numerics, checkpoints.flatMap(Checkpoints::newest));
  }

  /** The loss of a step is that before its update: what the last update did shows only now. */
  private void requireFiniteLoss() {
    try (Examples.Batch batch = examples.batch(last)) {
      double loss = graph.evaluate(batch).loss();
      if (!Double.isFinite(loss)) {
        throw NotFiniteLossException.after(done, loss, last, circumstances());
      }
    }
  }

  private Ending train() {
    if (keeper.map(kept -> kept.best().isOver()).orElse(false)) {
      return Ending.STOPPED_EARLY; // The job was resumed after its end.
    }
    Ending ending = goThroughEpochs();
    save();
    return ending;
  }

  private Ending goThroughEpochs() {
    while (finished < course.epochs()) {
      if (!steps(finished + 1)) {
        return Ending.INTERRUPTED;
      }
      Optional<Evaluation> validated = evaluate();
      if (validation.isPresent() && validated.isEmpty()) {
        return Ending.INTERRUPTED;
      }
      if (endEpoch(validated) == Verdict.STOP) {
        return Ending.STOPPED_EARLY;
      }
      if (checkpoints.isPresent() && checkpoints.get().isDue(done, true)) {
        save();
      }
    }
    return Ending.COMPLETED;
  }

  private Verdict endEpoch(Optional<Evaluation> validated) {
    Epoch epoch = new Epoch(finished + 1, mean.mean(), validated);
    mean = new Evaluation.Accumulator();
    epochs.add(epoch);
    finished = epoch.number();
    context.tell(listener -> listener.epochEnded(epoch));
    Verdict verdict =
        keeper
            .map(kept -> kept.best().judge(epoch.validation().orElseThrow()))
            .orElse(Verdict.GO_ON);
    if (verdict == Verdict.BEST) {
      keeper.ifPresent(kept -> kept.variables().keep());
    }
    return verdict;
  }

  /** Does what is left of an epoch; false if it was interrupted. */
  private boolean steps(int number) {
    List<int[]> all = course.order().epoch(number - 1);
    long before = (number - 1L) * all.size();
    List<int[]> batches = all.subList((int) (done - before), all.size());
    if (batches.isEmpty()) {
      return true; // The job was interrupted by the last step of the epoch.
    }
    try (BatchReader reader =
        new BatchReader(
            examples,
            batches.stream()
                .flatMap(batch -> BatchOrder.parts(batch, course.partSize()))
                .iterator())) {
      for (int[] rows : batches) {
        Step step = step(reader, rows, number);
        mean.add(rows.length, step.loss(), step.accuracy());
        boolean isLast = done == before + all.size();
        if (!isLast && checkpoints.isPresent() && checkpoints.get().isDue(done, false)) {
          save();
        }
        if (context.stop().isStopped()) {
          return false;
        }
      }
    }
    return true;
  }

  private Step step(BatchReader reader, int[] rows, int epoch) {
    long number = done + 1;
    TrainingGraph.Stepped stepped;
    try {
      stepped = graph.step(number, reader, rows.length);
    } catch (NotFiniteBatchException e) {
      throw NotFiniteLossException.in(number, epoch, rows, e, circumstances());
    }
    Step step =
        new Step(
            number,
            epoch,
            rows.length,
            stepped.measured().loss(),
            stepped.measured().accuracy(),
            stepped.learningRate());
    steps.add(step);
    done = number;
    last = BatchOrder.parts(rows, course.partSize()).findFirst().orElseThrow();
    context.tell(listener -> listener.stepped(step));
    stepped.updateReport().ifPresent(report -> context.tell(each -> each.reported(report)));
    return step;
  }

  /** The model on the validation data, if there are any and nobody asks the job to stop. */
  Optional<Evaluation> evaluate() {
    context.stopwatch().lap(Stopwatch.Part.TRAIN);
    validation.flatMap(Validation::untouched).ifPresent(KeptVariables::keep);
    Optional<Evaluation> evaluation = validation.flatMap(this::evaluate);
    validation.flatMap(Validation::untouched).ifPresent(KeptVariables::restore);
    context.stopwatch().lap(Stopwatch.Part.EVALUATE);
    return evaluation;
  }

  private Optional<Evaluation> evaluate(Validation data) {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    BatchOrder order = BatchOrder.inFileOrder(data.examples().rows(), course.partSize());
    List<int[]> batches = order.epoch(0);
    try (BatchReader reader = new BatchReader(data.examples(), batches.iterator())) {
      for (int i = 0; i < batches.size(); i++) {
        if (context.stop().isStopped()) {
          return Optional.empty();
        }
        try (Examples.Batch batch = reader.next()) {
          Measures.Values values = graph.evaluate(data.measures(), batch);
          mean.add(batch.size(), values.loss(), values.accuracy());
        }
      }
    }
    return Optional.of(mean.mean());
  }

  List<Step> steps() {
    return List.copyOf(steps);
  }

  List<Epoch> epochs() {
    return List.copyOf(epochs);
  }

  OptionalInt bestEpoch() {
    return keeper.map(kept -> kept.best().number()).orElse(OptionalInt.empty());
  }
}
