package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.ProvidedGradients.ACCURACY;
import static dev.adafactor.savedmodel.ProvidedGradients.GRADIENT;
import static dev.adafactor.savedmodel.ProvidedGradients.LABELS;
import static dev.adafactor.savedmodel.ProvidedGradients.LOSS;

import dev.adafactor.files.DataTypeNames;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;

/** A signature that computes its own loss and gradients, told by the names of its outputs. */
final class TrainingSignature {
  private final String name;
  private final SignatureDef definition;

  private TrainingSignature(String name, SignatureDef definition) {
    this.name = name;
    this.definition = definition;
  }

  /**
   * Looks at a signature.
   *
   * @return empty if none of its outputs is a gradient by its name
   * @throws IllegalArgumentException if it has gradients, but not what belongs to them
   */
  static Optional<TrainingSignature> of(String name, SignatureDef definition) {
    if (definition.getOutputsMap().keySet().stream().noneMatch(o -> o.startsWith(GRADIENT))) {
      return Optional.empty();
    }
    TrainingSignature signature = new TrainingSignature(name, definition);
    signature.require();
    return Optional.of(signature);
  }

  private void require() {
    if (!definition.containsInputs(LABELS)) {
      throw bad(
          "it has no input '%s'; its inputs are %s"
              .formatted(LABELS, new TreeMap<>(definition.getInputsMap()).keySet()));
    }
    if (!definition.containsOutputs(LOSS)) {
      throw bad("it has no output '" + LOSS + "'");
    }
    for (String scalar : List.of(LOSS, ACCURACY)) {
      TensorInfo info = definition.getOutputsOrDefault(scalar, null);
      if (info == null) {
        continue;
      }
      if (!Tensors.isReal(info.getDtype())) {
        throw bad("its output '%s' holds %s; it must hold floats".formatted(scalar, type(info)));
      }
      if (info.getTensorShape().getDimCount() != 0) {
        throw bad(
            "its output '%s' has the shape %s; it must be one number"
                .formatted(scalar, shape(info)));
      }
    }
  }

  /**
   * What it gives.
   *
   * @param inputs the placeholders of its inputs
   * @param outputs its outputs
   * @param variables the variables that it uses
   * @throws IllegalArgumentException if a gradient fits no variable, or more than one
   */
  ProvidedGradients gradients(
      Map<String, Output<?>> inputs,
      Map<String, Output<?>> outputs,
      List<ModelVariable> variables) {
    Map<ModelVariable, Output<?>> gradients = new LinkedHashMap<>();
    Map<String, Output<?>> open = new TreeMap<>(outputs);
    open.keySet().removeIf(output -> !output.startsWith(GRADIENT));
    for (ModelVariable variable : variables) {
      String output = GRADIENT + variable.name();
      Output<?> gradient = open.remove(output);
      if (gradient != null) {
        requireFit(output, variable);
        gradients.put(variable, gradient);
      } else if (outputs.containsKey(output)) {
        throw bad(
            "it uses two variables of the name '%s': its output '%s' could be either's gradient"
                .formatted(variable.name(), output));
      }
    }
    if (!open.isEmpty()) {
      throw bad(
          "its output '%s' is the gradient of no variable that it uses; these are %s"
              .formatted(
                  open.keySet().iterator().next(),
                  variables.stream().map(ModelVariable::name).toList()));
    }
    return new ProvidedGradients(
        outputs.get(LOSS), gradients, inputs, Optional.ofNullable(outputs.get(ACCURACY)));
  }

  private void requireFit(String output, ModelVariable variable) {
    TensorInfo info = definition.getOutputsOrThrow(output);
    if (info.getDtype() != variable.dtype()
        || (!info.getTensorShape().getUnknownRank()
            && !variable.shape().isCompatibleWith(shape(info)))) {
      throw bad(
          "its output '%s' holds %s of shape %s; the variable holds %s of shape %s"
              .formatted(
                  output,
                  type(info),
                  shape(info),
                  DataTypeNames.ofTensorFlow(variable.dtype()),
                  variable.shape()));
    }
  }

  private static String type(TensorInfo info) {
    return DataTypeNames.ofTensorFlow(info.getDtype());
  }

  private static Shape shape(TensorInfo info) {
    return Shapes.of(info.getTensorShape());
  }

  private IllegalArgumentException bad(String what) {
    return new IllegalArgumentException("The training signature '" + name + "': " + what);
  }
}
