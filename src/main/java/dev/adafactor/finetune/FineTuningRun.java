package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.finetune.FineTuningResult.Timings;
import dev.adafactor.finetune.TrainingGraph.Measured;
import dev.adafactor.finetune.TrainingGraph.Stepped;
import dev.adafactor.finetune.TrainingListener.Plan;
import dev.adafactor.finetune.TrainingListener.Step;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.savedmodel.UncheckedGradients;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.Function;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;

/** A training job being done. */
final class FineTuningRun {
  private final FineTuning job;
  private final List<TrainingListener> listeners;
  private final List<Step> steps = new ArrayList<>();
  private final Stopwatch stopwatch = new Stopwatch();

  FineTuningRun(FineTuning job, List<TrainingListener> listeners) {
    this.job = job;
    this.listeners = listeners;
  }

  FineTuningResult run() throws IOException {
    Examples.Files files = Examples.Files.open("", job.features, job.labels);
    Optional<Examples.Files> validationFiles =
        job.validationLabels.isEmpty()
            ? Optional.empty()
            : Optional.of(
                Examples.Files.open(
                    "validation ", job.validationFeatures, job.validationLabels.get()));
    try (TrainableModel model = TrainableModel.load(job.model, job.signature, job.mode)) {
      if (job.export.isPresent()) {
        model.requireExportable(job.export.get(), job.existing);
      }
      String outputName = outputName(model.training().outputs());
      List<ModelVariable> trainable =
          model.variables().stream().filter(ModelVariable::trainable).toList();
      model.training().requireGradients(outputName, trainable, UncheckedGradients.REFUSE);
      Output<?> output = model.training().outputs().get(outputName);
      Objective objective =
          Objective.of(
              Ops.create(model.graph()).withSubScope("objective"),
              job.loss,
              job.outputKind,
              outputName,
              output);
      long classes = output.shape().get(-1);
      Function<Examples.Files, Examples> match =
          f -> Examples.match(f, model.inputs(), objective, job.loss, classes);
      Examples training = match.apply(files);
      Optional<Examples> validation = validationFiles.map(match);
      requireFixedBatchSize(training);
      validation.ifPresent(this::requireFixedBatchSize);
      Duration load = stopwatch.lap();

      Adafactor adafactor = job.optimizer.apply(model.graph());
      TrainingGraph graph =
          new TrainingGraph(
              model.session(),
              objective,
              adafactor,
              trainable.stream().<Output<?>>map(ModelVariable::handle).toList());
      BatchOrder order =
          job.shuffled
              ? BatchOrder.shuffled(training.rows(), job.batchSize, job.seed)
              : BatchOrder.inFileOrder(training.rows(), job.batchSize);
      Plan plan = plan(model, training, order, trainable, adafactor);
      tell(listener -> listener.planned(plan));
      Duration build = stopwatch.lap();

      Optional<Evaluation> before = validation.map(examples -> evaluate(graph, examples));
      before.ifPresent(result -> tell(listener -> listener.evaluatedBefore(result)));
      Duration evaluate = stopwatch.lap();
      train(graph, training, order, adafactor.numerics());
      requireFinite(graph, trainable, adafactor.numerics());
      Duration train = stopwatch.lap();
      Optional<Evaluation> after = validation.map(examples -> evaluate(graph, examples));
      after.ifPresent(result -> tell(listener -> listener.evaluatedAfter(result)));
      evaluate = evaluate.plus(stopwatch.lap());
      if (job.export.isPresent()) {
        model.export(job.export.get(), job.existing);
      }
      return new FineTuningResult(
          plan,
          List.copyOf(steps),
          before,
          after,
          new Timings(load, build, train, evaluate, stopwatch.lap()),
          job.export);
    }
  }

  private String outputName(Map<String, Output<?>> outputs) {
    if (job.output.isEmpty() && outputs.size() == 1) {
      return outputs.keySet().iterator().next();
    }
    String name =
        job.output.orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the signature '%s' has the outputs %s; name the one to take the loss of"
                        .formatted(job.signature, outputs.keySet())));
    if (!outputs.containsKey(name)) {
      throw new IllegalArgumentException(
          "the signature '%s' has no output '%s'; its outputs are %s"
              .formatted(job.signature, name, outputs.keySet()));
    }
    return name;
  }

  private void requireFixedBatchSize(Examples examples) {
    Optional<Long> fixed = examples.fixedBatchSize();
    if (fixed.isPresent() && (fixed.get() != job.batchSize || examples.rows() % fixed.get() != 0)) {
      throw new IllegalArgumentException(
          ("the model takes batches of %d; the batch size is %d, for %d rows: take that batch"
                  + " size, and a multiple of it in rows")
              .formatted(fixed.get(), job.batchSize, examples.rows()));
    }
  }

  private Plan plan(
      TrainableModel model,
      Examples training,
      BatchOrder order,
      List<ModelVariable> trainable,
      Adafactor adafactor) {
    List<Output<?>> handles = trainable.stream().<Output<?>>map(ModelVariable::handle).toList();
    return new Plan(
        model.mode(),
        model.modeReason(),
        training.rows(),
        job.epochs,
        order.batches(),
        trainable.size(),
        StateSize.of(
            trainable.stream()
                .map(variable -> new StateSize.Parameter(variable.shape(), variable.dtype()))
                .toList(),
            StateSize.slots(
                adafactor,
                handles,
                List.of(Adafactor.R, Adafactor.C, Adafactor.V, Adafactor.AVERAGE)),
            StateSize.slots(adafactor, handles, List.of(Adafactor.AVERAGE))));
  }

  private void train(TrainingGraph graph, Examples examples, BatchOrder order, Numerics used) {
    int[] last = {};
    for (int epoch = 0; epoch < job.epochs; epoch++) {
      Evaluation.Accumulator mean = new Evaluation.Accumulator();
      for (int[] rows : order.epoch(epoch)) {
        Step step = step(graph, examples, rows, epoch + 1, used);
        mean.add(rows.length, step.loss(), step.accuracy());
        last = rows;
      }
      int number = epoch + 1;
      Evaluation training = mean.mean();
      tell(listener -> listener.epochEnded(number, training));
    }
    graph.finish();
    // The loss of a step is that before its update: what the last update did shows only now.
    try (Examples.Batch batch = examples.batch(last)) {
      double loss = graph.evaluate(batch).loss();
      if (!Double.isFinite(loss)) {
        throw NotFiniteLossException.after(steps.size(), loss, last, used);
      }
    }
  }

  private Step step(TrainingGraph graph, Examples examples, int[] rows, int epoch, Numerics used) {
    try (Examples.Batch batch = examples.batch(rows)) {
      Stepped stepped = graph.step(batch);
      Measured measured = stepped.measured();
      if (!Double.isFinite(measured.loss())) {
        throw NotFiniteLossException.in(steps.size() + 1, epoch, measured.loss(), rows, used);
      }
      Step step =
          new Step(
              steps.size() + 1,
              epoch,
              rows.length,
              measured.loss(),
              measured.accuracy(),
              stepped.learningRate());
      steps.add(step);
      tell(listener -> listener.stepped(step));
      return step;
    }
  }

  /** NaN in a variable need not show in a loss: a fused ReLU makes 0 of it. */
  private void requireFinite(TrainingGraph graph, List<ModelVariable> variables, Numerics used) {
    OptionalInt first = graph.notFinite();
    if (first.isPresent()) {
      String name = variables.get(first.getAsInt()).name();
      throw NotFiniteLossException.after(steps.size(), name, used);
    }
  }

  private Evaluation evaluate(TrainingGraph graph, Examples examples) {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    for (int[] rows : BatchOrder.inFileOrder(examples.rows(), job.batchSize).epoch(0)) {
      try (Examples.Batch batch = examples.batch(rows)) {
        Measured measured = graph.evaluate(batch);
        mean.add(rows.length, measured.loss(), measured.accuracy());
      }
    }
    return mean.mean();
  }

  private void tell(Consumer<TrainingListener> event) {
    listeners.forEach(event);
  }

  private static final class Stopwatch {
    private long start = System.nanoTime();

    /** The time since the last lap. */
    Duration lap() {
      long now = System.nanoTime();
      Duration lap = Duration.ofNanos(now - start);
      start = now;
      return lap;
    }
  }
}
