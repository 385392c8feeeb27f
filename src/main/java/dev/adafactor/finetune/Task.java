package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.finetune.Examples.Target;
import dev.adafactor.finetune.Examples.Targets;
import dev.adafactor.graph.Placement;
import dev.adafactor.savedmodel.ModelFunction;
import dev.adafactor.savedmodel.ModelTower;
import dev.adafactor.savedmodel.ModelTowers;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.ProvidedGradients;
import dev.adafactor.savedmodel.TrainableModel;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;

/**
 * What a job computes of a model: its loss, in the model's graph.
 *
 * @param targets where the data are fed, for each of the devices that share a batch
 * @param step adds what a step computes
 */
record Task(List<Targets> targets, Function<Adafactor, StepFunction> step) {

  private static final Logger LOGGER = System.getLogger(Task.class.getName());

  /** What is measured of the validation data, and where they are fed. */
  record Validation(Targets targets, Measures measures) {}

  /**
   * The training of a model.
   *
   * @throws IllegalArgumentException if it cannot be trained, or not with such data and options
   */
  static Task training(
      FineTuning job,
      TrainableModel model,
      ModelTowers towers,
      List<ModelVariable> trained,
      Dataset data) {
    Ops tf = Ops.create(model.graph()).withSubScope("objective");
    if (model.providedGradients().isPresent()) {
      ProvidedGradients provided = model.providedGradients().get();
      return new Task(
          List.of(targets(job, provided, data)),
          adafactor -> StepFunction.of(tf, provided, trained));
    }
    String output = outputName(job, model.training().outputs());
    model.requireGradients(output, trained, job.uncheckedGradients);
    if (data.sampleWeights().isEmpty()) {
      warnOfMasks(model, output);
    }
    warnOfActivation(job, model, output);
    Weighting weighting = new Weighting(data.sampleWeights().map(Rows::shape), job.classWeights);
    List<Objective> objectives = new ArrayList<>();
    List<Targets> targets = new ArrayList<>();
    for (ModelTower tower : towers.towers()) {
      Ops there = tower.device().flatMap(Placement::parse).map(tf::withDevice).orElse(tf);
      Objective objective = objective(there, job, tower.training(), output, weighting);
      objectives.add(objective);
      targets.add(targets(job, model, tower.inputs(), output, objective));
    }
    requireLabels(job, model.training(), output, data);
    List<String> devices =
        towers.towers().stream().flatMap(tower -> tower.device().stream()).toList();
    SharedObjective shared = SharedObjective.of(tf, devices, objectives);
    return new Task(targets, adafactor -> StepFunction.of(tf, shared, adafactor, trained, towers));
  }

  private static void warnOfMasks(TrainableModel model, String output) {
    boolean hasTime = model.training().outputs().get(output).shape().numDimensions() >= 3;
    if (hasTime && !model.maskingLayers().isEmpty()) {
      LOGGER.log(
          Level.WARNING,
          "Masked positions (by {0}) count in the loss of output ''{1}'', unlike in Keras; sample"
              + " weights (--sample-weights) of 0 leave them out (Keras divides by the number of"
              + " unmasked ones)",
          model.maskingLayers(),
          output);
    }
  }

  private static void warnOfActivation(FineTuning job, TrainableModel model, String output) {
    if (job.outputKind == Objective.OutputKind.LOGITS
        && Objective.logits(loss(job), model.training().outputs().get(output)).isPresent()) {
      LOGGER.log(
          Level.WARNING,
          "the output ''{0}'' is said to be logits, but a {1} makes it: the loss takes what goes"
              + " into that",
          output,
          loss(job).activation());
    }
  }

  /**
   * The evaluation of a model as it predicts, or by a training signature of its own.
   *
   * @throws IllegalArgumentException if it does not go with such data and options
   */
  static Validation validation(FineTuning job, TrainableModel model, Dataset data) {
    Ops tf = Ops.create(model.graph()).withSubScope("validation");
    if (model.providedGradients().isPresent()) {
      ProvidedGradients provided = model.providedGradients().get();
      return new Validation(targets(job, provided, data), Measures.of(tf, provided));
    }
    String output = outputName(job, model.inference().outputs());
    Weighting weighting = new Weighting(data.sampleWeights().map(Rows::shape), Map.of());
    Objective objective = objective(tf, job, model.inference(), output, weighting);
    requireLabels(job, model.inference(), output, data);
    return new Validation(
        targets(job, model, model.inputs(), output, objective),
        Measures.of(tf, SharedObjective.of(tf, List.of(), List.of(objective))));
  }

  private static Objective objective(
      Ops tf, FineTuning job, ModelFunction function, String output, Weighting weighting) {
    return Objective.of(
        tf,
        loss(job),
        job.outputKind,
        output,
        function.outputs().get(output),
        weighting,
        function.losses());
  }

  private static void requireLabels(
      FineTuning job, ModelFunction function, String output, Dataset data) {
    Rows labels = data.labels();
    loss(job)
        .betterFor(function.outputs().get(output).shape(), labels.shape())
        .ifPresent(
            better -> {
              throw new IllegalArgumentException(
                  "%slabels: %s has the shape %s, not one for the loss %s: %s"
                      .formatted(
                          data.role(),
                          labels.path(),
                          Column.describe(labels.shape()),
                          loss(job),
                          better));
            });
  }

  private static Loss loss(FineTuning job) {
    return job.loss.orElseThrow(
        () ->
            new IllegalArgumentException(
                "the loss (--loss) is missing: sparse-categorical-crossentropy, for example"));
  }

  private static String outputName(FineTuning job, Map<String, Output<?>> outputs) {
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

  private static Targets targets(
      FineTuning job,
      TrainableModel model,
      Map<String, Output<?>> inputs,
      String output,
      Objective objective) {
    Loss loss = loss(job);
    long classes = model.inference().outputs().get(output).shape().get(-1);
    return new Targets(
        inputs,
        new Target(
            objective.labels(),
            objective.labelShape(),
            loss.wantedLabels(classes),
            loss.acceptedLabels(classes)),
        objective.sampleWeights().map(Target::ofNumbers));
  }

  private static Targets targets(FineTuning job, ProvidedGradients provided, Dataset data) {
    Map<String, Output<?>> features = new LinkedHashMap<>(provided.inputs());
    Output<?> labels = features.remove(ProvidedGradients.LABELS);
    Optional<Output<?>> weights =
        Optional.ofNullable(features.remove(ProvidedGradients.SAMPLE_WEIGHTS));
    if (!job.classWeights.isEmpty()) {
      throw new IllegalArgumentException(
          "class weights: the signature '%s' computes its own loss, without them"
              .formatted(job.signature));
    }
    if (weights.isPresent() != data.sampleWeights().isPresent()) {
      throw new IllegalArgumentException(
          weights.isPresent()
              ? "%ssample weights are missing: the signature '%s' has the input '%s'"
                  .formatted(data.role(), job.signature, ProvidedGradients.SAMPLE_WEIGHTS)
              : "%ssample weights: the signature '%s' has no input '%s' to take them"
                  .formatted(data.role(), job.signature, ProvidedGradients.SAMPLE_WEIGHTS));
    }
    return new Targets(features, Target.ofNumbers(labels), weights.map(Target::ofNumbers));
  }
}
