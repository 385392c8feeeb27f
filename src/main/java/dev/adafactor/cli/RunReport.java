package dev.adafactor.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.FineTuningResult;
import dev.adafactor.finetune.StateSize;
import dev.adafactor.finetune.TrainingListener.Epoch;
import dev.adafactor.finetune.TrainingListener.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;

/** What came of a training job, as JSON for other programs. */
final class RunReport {
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /** Of the format: a program that reads it can rely on it. */
  private static final int VERSION = 1;

  private RunReport() {}

  /** Writes an object as the schema {@code run-report.schema.json} beside this class has it. */
  static void write(FineTuningResult result, OutputPath file) throws IOException {
    ObjectNode report = JSON.createObjectNode();
    report.put("version", VERSION);
    report.put("mode", ConstantConverter.label(result.plan().mode()));
    report.put("mode_reason", result.plan().modeReason());
    report.put("ending", ConstantConverter.label(result.ending()));
    report.put("examples", result.plan().examples());
    report.put("epochs", result.plan().epochs());
    report.put("steps_per_epoch", result.plan().stepsPerEpoch());
    report
        .putObject("variables")
        .put("trained", result.plan().trainableVariables())
        .put("unused", result.plan().unusedVariables())
        .put("frozen", result.plan().frozenVariables());
    report.put(
        "first_step", result.steps().isEmpty() ? null : (Long) result.steps().get(0).number());
    ArrayNode losses = report.putArray("losses");
    ArrayNode accuracies = report.putArray("accuracies");
    ArrayNode rates = report.putArray("learning_rates");
    for (Step step : result.steps()) {
      losses.add(number(step.loss()));
      step.accuracy().ifPresent(accuracy -> accuracies.add(number(accuracy)));
      rates.add(number(step.learningRate()));
    }
    ObjectNode metrics = report.putObject("metrics");
    result.before().ifPresent(before -> put(metrics.putObject("before"), before));
    result.after().ifPresent(after -> put(metrics.putObject("after"), after));
    ArrayNode epochs = metrics.putArray("epochs");
    for (Epoch epoch : result.epochs()) {
      ObjectNode node = epochs.addObject().put("epoch", epoch.number());
      put(node.putObject("training"), epoch.training());
      epoch.validation().ifPresent(validation -> put(node.putObject("validation"), validation));
    }
    result
        .bestEpoch()
        .ifPresentOrElse(
            epoch -> report.put("best_epoch", epoch), () -> report.putNull("best_epoch"));
    FineTuningResult.Timings timings = result.timings();
    report
        .putObject("timings")
        .put("load_s", seconds(timings.load()))
        .put("build_s", seconds(timings.build()))
        .put("train_s", seconds(timings.train()))
        .put("evaluate_s", seconds(timings.evaluate()))
        .put("export_s", seconds(timings.export()))
        .put("examples_per_s", result.examplesPerSecond());
    StateSize size = result.plan().stateSize();
    report
        .putObject("state_bytes")
        .put("parameters", size.parameters())
        .put("adafactor", size.adafactor())
        .put("tf_keras_adafactor", size.tfKerasAdafactor())
        .put("adam", size.adam());
    report.put("export", result.exported().map(Path::toString).orElse(null));
    WholeFile.write(file, out -> out.write(JSON.writeValueAsBytes(report)));
  }

  private static void put(ObjectNode node, Evaluation evaluation) {
    node.put("loss", number(evaluation.loss()));
    evaluation.accuracy().ifPresent(accuracy -> node.put("accuracy", number(accuracy)));
    node.put("examples", evaluation.examples());
  }

  /** Null in the place of what JSON has no number for. */
  private static Double number(double value) {
    return Double.isFinite(value) ? value : null;
  }

  private static double seconds(Duration duration) {
    return duration.toNanos() / 1e9;
  }
}
