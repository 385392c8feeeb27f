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
  private final Numerics numerics;
  private final RunContext context;
  private final List<Step> steps = new ArrayList<>();
  private final List<Epoch> epochs = new ArrayList<>();

  /** The rows of the last step, or of a part of it. */
  private int[] last = {};

  TrainingLoop(
      TrainingGraph graph,
      Examples examples,
      Course course,
      Optional<Validation> validation,
      Optional<Keeper> keeper,
      Numerics numerics,
      RunContext context) {
    this.graph = graph;
    this.examples = examples;
    this.course = course;
    this.validation = validation;
    this.keeper = keeper;
    this.numerics = numerics;
    this.context = context;
  }

  /**
   * Trains, and gives the variables their final values.
   *
   * @throws NotFiniteLossException if the loss or a variable becomes NaN or infinite
   */
  Ending run() {
    Ending ending = train();
    keeper
        .filter(kept -> kept.best().number().isPresent())
        .ifPresent(kept -> kept.variables().restore());
    graph.finish();
    List<String> notFinite = graph.variablesNotFinite();
    if (!notFinite.isEmpty()) {
      throw NotFiniteLossException.after(steps.size(), notFinite, numerics);
    }
    if (ending != Ending.INTERRUPTED && !graph.changesWhatItMeasures()) {
      requireFiniteLoss();
    }
    context.stopwatch().lap(Stopwatch.Part.TRAIN);
    return ending;
  }

  /** The loss of a step is that before its update: what the last update did shows only now. */
  private void requireFiniteLoss() {
    try (Examples.Batch batch = examples.batch(last)) {
      double loss = graph.evaluate(batch).loss();
      if (!Double.isFinite(loss)) {
        throw NotFiniteLossException.after(steps.size(), loss, last, numerics);
      }
    }
  }

  private Ending train() {
    for (int number = 1; number <= course.epochs(); number++) {
      Optional<Evaluation> mean = epoch(number);
      if (mean.isEmpty()) {
        return Ending.INTERRUPTED;
      }
      Optional<Evaluation> validated = evaluate();
      Epoch epoch = new Epoch(number, mean.get(), validated);
      epochs.add(epoch);
      context.tell(listener -> listener.epochEnded(epoch));
      if (keeper.isPresent()) {
        Verdict verdict = keeper.get().best().judge(validated.orElseThrow());
        if (verdict == Verdict.BEST) {
          keeper.get().variables().keep();
        } else if (verdict == Verdict.STOP) {
          return Ending.STOPPED_EARLY;
        }
      }
    }
    return Ending.COMPLETED;
  }

  /** The means over the steps of an epoch; empty if it was interrupted. */
  private Optional<Evaluation> epoch(int number) {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    List<int[]> batches = course.order().epoch(number - 1);
    try (BatchReader reader =
        new BatchReader(
            examples,
            batches.stream()
                .flatMap(batch -> BatchOrder.parts(batch, course.partSize()))
                .iterator())) {
      for (int[] rows : batches) {
        Step step = step(reader, rows, number);
        mean.add(rows.length, step.loss(), step.accuracy());
        if (context.stop().isStopped()) {
          return Optional.empty();
        }
      }
    }
    return Optional.of(mean.mean());
  }

  private Step step(BatchReader reader, int[] rows, int epoch) {
    long number = steps.size() + 1L;
    TrainingGraph.Stepped stepped;
    try {
      stepped = graph.step(number, reader, rows.length);
    } catch (NotFiniteBatchException e) {
      throw NotFiniteLossException.in(number, epoch, rows, e, numerics);
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
    last = BatchOrder.parts(rows, course.partSize()).findFirst().orElseThrow();
    context.tell(listener -> listener.stepped(step));
    return step;
  }

  /** The model on the validation data, if there are any. */
  Optional<Evaluation> evaluate() {
    context.stopwatch().lap(Stopwatch.Part.TRAIN);
    validation.flatMap(Validation::untouched).ifPresent(KeptVariables::keep);
    Optional<Evaluation> evaluation = validation.map(this::evaluate);
    validation.flatMap(Validation::untouched).ifPresent(KeptVariables::restore);
    context.stopwatch().lap(Stopwatch.Part.EVALUATE);
    return evaluation;
  }

  private Evaluation evaluate(Validation data) {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    BatchOrder order = BatchOrder.inFileOrder(data.examples().rows(), course.partSize());
    List<int[]> batches = order.epoch(0);
    try (BatchReader reader = new BatchReader(data.examples(), batches.iterator())) {
      for (int i = 0; i < batches.size(); i++) {
        try (Examples.Batch batch = reader.next()) {
          Measures.Values values = graph.evaluate(data.measures(), batch);
          mean.add(batch.size(), values.loss(), values.accuracy());
        }
      }
    }
    return mean.mean();
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
