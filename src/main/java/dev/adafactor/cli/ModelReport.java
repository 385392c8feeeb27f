package dev.adafactor.cli;

import dev.adafactor.files.DataTypeNames;
import dev.adafactor.finetune.StateSize;
import dev.adafactor.savedmodel.ModelDescription;
import dev.adafactor.savedmodel.ModelDescription.Exporter;
import dev.adafactor.savedmodel.ModelDescription.FileSize;
import dev.adafactor.savedmodel.ModelDescription.Result;
import dev.adafactor.savedmodel.ModelDescription.Signature;
import dev.adafactor.savedmodel.ModelDescription.Tensor;
import dev.adafactor.savedmodel.ModelDescription.Variable;
import dev.adafactor.savedmodel.UnusableGradient;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/** A model's description for people. */
final class ModelReport {
  /** Lists are shortened to this, so that a report is read at a glance. */
  private static final int MOST_LINES = 20;

  private static final int COMMAND_WIDTH = 100;

  private final ModelDescription model;
  private final List<Signature> signatures;
  private final int width;
  private final int mostLines;
  private final StringBuilder text = new StringBuilder();

  /**
   * A report.
   *
   * @param signatures those to tell of
   * @param width characters of a line
   * @param all whether no list is shortened
   */
  ModelReport(ModelDescription model, List<Signature> signatures, int width, boolean all) {
    this.model = model;
    this.signatures = signatures;
    this.width = width;
    this.mostLines = all ? Integer.MAX_VALUE : MOST_LINES;
  }

  String text() {
    origin();
    list(signatures, this::signature, "signatures");
    masks();
    variables();
    contents();
    defaultFirst()
        .flatMap(signature -> FineTuneExample.of(model, signature).stream())
        .findFirst()
        .ifPresent(example -> line(example.text(Math.min(width, COMMAND_WIDTH))));
    return text.toString();
  }

  private void origin() {
    long bytes = model.files().stream().mapToLong(FileSize::bytes).sum();
    line(
        "%s: %s, TensorFlow %s; %,d bytes in %s"
            .formatted(
                model.folder(),
                exporter(model.exporter()),
                model.tensorFlowVersion().isEmpty() ? "unknown" : model.tensorFlowVersion(),
                bytes,
                count(model.files().size(), "file")));
  }

  private static String exporter(Exporter exporter) {
    return switch (exporter) {
      case KERAS_SAVE -> "written by Keras's model.save";
      case KERAS_EXPORT -> "written by Keras's model.export";
      case SAVED_MODEL_SAVE -> "written by tf.saved_model.save";
      case WITHOUT_OBJECTS -> "written without Python's objects";
    };
  }

  private void signature(Signature signature) {
    line("");
    Optional<Signature> like = defaultFirst().filter(other -> isLike(signature, other)).findFirst();
    if (like.isPresent() && !like.get().name().equals(signature.name())) {
      line(
          "Signature %s: inputs, outputs and operations are those of %s"
              .formatted(Printable.of(signature.name()), Printable.of(like.get().name())));
      return;
    }
    line("Signature " + Printable.of(signature.name()));
    if (signature.providesGradients()) {
      line("  returns loss and gradients: made for training, and trained as it is");
    }
    TextTable table = new TextTable("", "", "", "");
    rows(signature).forEach(table::add);
    text.append(table.text(width));
    if (signature.problem().isPresent()) {
      line("  cannot be trained: " + Printable.of(signature.problem().get()));
      return;
    }
    signature
        .mode()
        .ifPresent(
            mode ->
                line(
                    "  mode %s: %s"
                        .formatted(ConstantConverter.label(mode), signature.modeReason())));
    line(
        "  %s%s"
            .formatted(
                count(signature.operations(), "operation"),
                signature.randomOperations().isEmpty()
                    ? ""
                    : "; random ones: "
                        + signature.randomOperations().entrySet().stream()
                            .sorted(Map.Entry.comparingByKey())
                            .map(entry -> entry.getKey() + " " + entry.getValue())
                            .collect(Collectors.joining(", "))));
    List<UnusableGradient> unusable =
        signature.outputs().stream()
            .flatMap(output -> output.unusableGradients().stream())
            .distinct()
            .toList();
    if (!unusable.isEmpty()) {
      line("  in the way of gradients:");
      list(unusable, gradient -> line("    " + gradient), "operations");
    }
  }

  /** What fine-tune takes without being told comes first. */
  private Stream<Signature> defaultFirst() {
    return signatures.stream()
        .sorted(Comparator.comparing(signature -> !signature.name().equals("serving_default")));
  }

  /** Keras's model.export gives what it serves two names. */
  private static boolean isLike(Signature one, Signature other) {
    // Not as records: shapes with unknown sizes equal none.
    return rows(one).equals(rows(other))
        && one.mode().equals(other.mode())
        && one.modeReason().equals(other.modeReason())
        && one.operations() == other.operations()
        && one.randomOperations().equals(other.randomOperations())
        && one.problem().equals(other.problem());
  }

  private void masks() {
    if (!model.maskingLayers().isEmpty()
        && signatures.stream()
            .flatMap(signature -> signature.outputs().stream())
            .anyMatch(output -> output.trainable() && hasTime(output.tensor().shape()))) {
      line(
          "Masks: by %s; Keras leaves masked positions out of loss and metrics, here they count"
              .formatted(model.maskingLayers()));
      line("  unless --sample-weights gives them 0 (Keras divides by the number of unmasked ones)");
    }
  }

  private static boolean hasTime(Shape shape) {
    return shape.numDimensions() >= 3;
  }

  private static List<List<String>> rows(Signature signature) {
    return Stream.concat(
            signature.inputs().stream().map(input -> row("  input", input, "")),
            signature.outputs().stream()
                .map(output -> row("  output", output.tensor(), can(signature, output))))
        .toList();
  }

  private static List<String> row(String role, Tensor tensor, String remark) {
    return List.of(role, tensor.name(), type(tensor.dtype(), tensor.shape()), remark);
  }

  private static String can(Signature signature, Result output) {
    if (signature.problem().isPresent() || signature.providesGradients()) {
      return "";
    }
    if (output.trainable()) {
      return "can be trained";
    }
    return output.unusableGradients().isEmpty()
        ? "depends on no trainable variable"
        : "cannot be trained";
  }

  private void variables() {
    line("");
    List<Variable> variables = model.variables();
    List<Variable> trainable = variables.stream().filter(Variable::trainable).toList();
    line(
        "Variables: %,d, of them %,d trainable; %,d elements, %,d bytes"
            .formatted(
                variables.size(),
                trainable.size(),
                variables.stream().mapToLong(Variable::elements).sum(),
                variables.stream().mapToLong(Variable::bytes).sum()));
    text.append((variables.size() <= mostLines ? each(variables) : byLayer(variables)).text(width));
    if (model.twinVariables() > 0) {
      line(
          "  %s twice in it, as Keras 3 exports them, counted once"
              .formatted(
                  model.twinVariables() == 1
                      ? "1 is"
                      : "%,d are".formatted(model.twinVariables())));
    }
    if (model.otherVariables() > 0) {
      line(
          "  and %s that no signature uses, as an optimizer's; kept as they are"
              .formatted(count(model.otherVariables(), "variable")));
    }
    List<StateSize.Parameter> parameters =
        trainable.stream()
            .filter(variable -> variable.dtype().name().matches("DT_(HALF|BFLOAT16|FLOAT|DOUBLE)"))
            .filter(variable -> !variable.shape().hasUnknownDimension())
            .map(variable -> new StateSize.Parameter(variable.shape(), variable.dtype()))
            .toList();
    if (!parameters.isEmpty()) {
      StateSize size = StateSize.byDefault(parameters);
      line(
          "Optimizer state for them: %,d bytes (Adam: %,d; tf_keras's Adafactor: %,d)"
              .formatted(size.adafactor(), size.adam(), size.tfKerasAdafactor()));
    }
  }

  private static TextTable each(List<Variable> variables) {
    TextTable table = new TextTable("", "elements", "bytes", "");
    for (Variable variable : variables) {
      table.add(
          List.of(
              "  " + variable.name(),
              "%,d".formatted(variable.elements()),
              "%,d".formatted(variable.bytes()),
              type(variable.dtype(), variable.shape())
                  + (variable.trainable() ? "" : ", not trainable")));
    }
    return table;
  }

  private TextTable byLayer(List<Variable> variables) {
    TextTable table = new TextTable("  layer", "variables", "elements", "bytes", "trainable");
    List<VariableGroup> groups = VariableGroup.of(variables, mostLines);
    for (VariableGroup group : groups.subList(0, Math.min(mostLines, groups.size()))) {
      long trainable = group.variables().stream().filter(Variable::trainable).count();
      table.add(
          List.of(
              "  " + group.name(),
              "%,d".formatted(group.variables().size()),
              "%,d".formatted(group.variables().stream().mapToLong(Variable::elements).sum()),
              "%,d".formatted(group.variables().stream().mapToLong(Variable::bytes).sum()),
              "%,d".formatted(trainable)));
    }
    if (groups.size() > mostLines) {
      table.add(List.of("  and " + count(groups.size() - mostLines, "more layer"), "", "", "", ""));
    }
    return table;
  }

  private void contents() {
    if (!model.assets().isEmpty()) {
      line("Assets:");
      files(model.assets());
    }
    if (!model.tables().isEmpty()) {
      line("Tables:");
      list(
          model.tables(),
          table ->
              line(
                  "  %s: %s to %s"
                      .formatted(
                          table.name(),
                          DataTypeNames.ofPython(table.keys()),
                          DataTypeNames.ofPython(table.values()))),
          "tables");
    }
    line("Files:");
    files(model.files());
  }

  private void files(List<FileSize> files) {
    TextTable table = new TextTable("", "");
    files.stream()
        .limit(mostLines)
        .forEach(
            file -> table.add(List.of("  " + file.path(), "%,d bytes".formatted(file.bytes()))));
    text.append(table.text(width));
    more(files.size(), "files");
  }

  private <T> void list(List<T> elements, Consumer<T> print, String what) {
    elements.stream().limit(mostLines).forEach(print);
    more(elements.size(), what);
  }

  private void more(int all, String what) {
    if (all > mostLines) {
      line("  and %,d more %s; --all shows them".formatted(all - mostLines, what));
    }
  }

  private void line(String line) {
    text.append(line).append(System.lineSeparator());
  }

  static String type(DataType dtype, Shape shape) {
    String sizes =
        shape.isUnknown()
            ? "[...]"
            : shape.toListOrNull().stream()
                .map(size -> size < 0 ? "?" : size.toString())
                .collect(Collectors.joining(", ", "[", "]"));
    return DataTypeNames.ofPython(dtype) + " " + sizes;
  }

  private static String count(long number, String what) {
    return "%,d %s%s".formatted(number, what, number == 1 ? "" : "s");
  }
}
