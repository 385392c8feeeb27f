package dev.adafactor.finetune;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.Adafactor;
import dev.adafactor.files.PythonJson;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.schedules.ScheduleRegistry;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;

/** What a job is, as {@code same_job.py} reads it. */
final class JobDescription {

  /** The arrays, and where they are fed. */
  record Data(Dataset arrays, Examples.Targets targets) {}

  private JobDescription() {}

  /**
   * Describes a job.
   *
   * @param trained what the optimizer trains, and the way to each variable
   * @param step what has a gradient
   * @throws IllegalArgumentException if there is something that Python cannot do
   */
  static ObjectNode of(
      FineTuning job,
      TrainableModel model,
      Data data,
      Map<ModelVariable, List<String>> trained,
      StepFunction step,
      Adafactor adafactor) {
    boolean own = model.providedGradients().isPresent();
    ObjectNode description = PythonJson.MAPPER.createObjectNode();
    description.put("model", job.model.toAbsolutePath().normalize().toString());
    description.put("signature", job.signature);
    description.put("output", job.output.orElse(null));
    description.put("mode", model.mode().name().toLowerCase(Locale.ROOT));
    description.put("kind", own ? "gradients" : "objective");
    description.put(
        "loss", job.loss.map(loss -> loss.name().toLowerCase(Locale.ROOT)).orElse(null));
    description.put("from_logits", job.outputKind == Objective.OutputKind.LOGITS);
    description.put("activation", own ? null : activation(job, model).orElse(null));
    addData(description, data);
    description.set("class_weights", classWeights(job, model));
    description.set("optimizer", optimizer(adafactor));
    ArrayNode variables = description.putArray("trained");
    trained.forEach(
        (variable, path) ->
            variables.add(
                variable(variable, path, adafactor)
                    .put("has_gradient", step.hasGradient(variable))));
    description.put("part_size", Math.min(job.batchSize, job.microBatchSize.orElse(job.batchSize)));
    description.put("early_stopping", job.earlyStopping.isPresent());
    return description;
  }

  /** What makes probabilities of the logits that the loss is taken of. */
  private static Optional<String> activation(FineTuning job, TrainableModel model) {
    Loss loss = job.loss.orElseThrow();
    return Objective.logits(loss, output(job, model)).map(logits -> loss.activation());
  }

  /** What the loss is taken of. */
  private static Output<?> output(FineTuning job, TrainableModel model) {
    Map<String, Output<?>> outputs = model.training().outputs();
    return outputs.get(job.output.orElseGet(() -> outputs.keySet().iterator().next()));
  }

  private static void addData(ObjectNode description, Data data) {
    ObjectNode features = description.putObject("features");
    Map<String, Output<?>> inputs = data.targets().features();
    data.arrays()
        .features()
        .forEach(
            (name, rows) -> {
              String input =
                  name.equals(DataFiles.ONLY_INPUT) ? inputs.keySet().iterator().next() : name;
              Output<?> placeholder = inputs.get(input);
              features.set(input, source(rows, placeholder, placeholder.shape()));
            });
    Examples.Target labels = data.targets().labels();
    description.set("labels", source(data.arrays().labels(), labels.placeholder(), labels.shape()));
    description.putNull("sample_weights");
    data.targets()
        .sampleWeights()
        .ifPresent(
            target ->
                description.set(
                    "sample_weights",
                    source(
                        data.arrays().sampleWeights().orElseThrow(),
                        target.placeholder(),
                        target.shape())));
  }

  private static ObjectNode source(Rows rows, Output<?> placeholder, Shape shape) {
    ObjectNode source = PythonJson.MAPPER.createObjectNode();
    ArrayNode files = source.putArray("files");
    rows.files().forEach(file -> files.add(file.toAbsolutePath().toString()));
    source.put("dtype", ElementType.of(placeholder.dataType()).toString());
    source.put("rank", shape.isUnknown() ? null : shape.numDimensions());
    return source;
  }

  private static ArrayNode classWeights(FineTuning job, TrainableModel model) {
    if (job.classWeights.isEmpty()) {
      return null;
    }
    ArrayNode weights = PythonJson.MAPPER.createArrayNode();
    Weighting weighting = new Weighting(Optional.empty(), job.classWeights);
    for (double weight : weighting.ofClasses(job.loss.orElseThrow(), output(job, model).shape())) {
      weights.add(weight);
    }
    return weights;
  }

  private static ObjectNode optimizer(Adafactor adafactor) {
    try {
      ObjectNode configuration = (ObjectNode) PythonJson.MAPPER.readTree(adafactor.toJson());
      requireKnown(configuration.get("learning_rate"));
      return configuration;
    } catch (IllegalStateException e) {
      throw new IllegalArgumentException(
          "record: the learning rate is code, which Python cannot run: " + e.getMessage(), e);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("the configuration is no JSON", e);
    }
  }

  /** What a package of the user's brings, Python would have to import. */
  private static void requireKnown(JsonNode learningRate) {
    if (!learningRate.isObject()) {
      return;
    }
    ScheduleRegistry known = ScheduleRegistry.standard();
    known
        .unknown(PythonJson.MAPPER.convertValue(learningRate, Map.class))
        .ifPresent(
            name -> {
              throw new IllegalArgumentException(
                  ("record: the learning rate is the schedule '%s', which is none of tf_keras's"
                          + " own: Python would not know it; it knows %s")
                      .formatted(name, String.join(", ", known.names())));
            });
  }

  private static ObjectNode variable(
      ModelVariable variable, List<String> path, Adafactor adafactor) {
    if (path.isEmpty()) {
      throw new IllegalArgumentException(
          "record: no attributes lead from the model to its variable '%s': Python would not find it"
              .formatted(variable.name()));
    }
    ObjectNode described = PythonJson.MAPPER.createObjectNode();
    described.put("name", variable.name());
    path.forEach(described.putArray("path")::add);
    described.put("decays", adafactor.decays(variable.handle()));
    return described;
  }
}
