package dev.adafactor.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.files.DataTypeNames;
import dev.adafactor.files.OutputPath;
import dev.adafactor.savedmodel.ModelDescription;
import dev.adafactor.savedmodel.ModelDescription.FileSize;
import dev.adafactor.savedmodel.ModelDescription.Result;
import dev.adafactor.savedmodel.ModelDescription.Signature;
import dev.adafactor.savedmodel.ModelDescription.Tensor;
import dev.adafactor.savedmodel.ModelDescription.Variable;
import java.io.IOException;
import java.util.List;
import org.tensorflow.ndarray.Shape;

/** A model's description as JSON for other programs. */
final class ModelJson {
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private ModelJson() {}

  /**
   * Writes an object with {@code exporter}, {@code masking_layers}, {@code tensorflow}, {@code
   * signatures}, {@code variables}, {@code twin_variables}, {@code other_variables}, {@code
   * tables}, {@code assets} and {@code files}. A shape is a list of sizes, -1 where one is unknown,
   * or null.
   */
  static void write(ModelDescription model, List<Signature> signatures, OutputPath target)
      throws IOException {
    ObjectNode json = JSON.createObjectNode();
    json.put("model", model.folder().toString());
    json.put("exporter", ConstantConverter.label(model.exporter()));
    ArrayNode masking = json.putArray("masking_layers");
    model.maskingLayers().forEach(masking::add);
    json.put("tensorflow", model.tensorFlowVersion());
    ArrayNode described = json.putArray("signatures");
    signatures.forEach(signature -> put(described.addObject(), signature));
    ArrayNode variables = json.putArray("variables");
    for (Variable variable : model.variables()) {
      ObjectNode node = variables.addObject().put("name", variable.name());
      node.put("dtype", DataTypeNames.ofPython(variable.dtype()));
      put(node, variable.shape());
      node.put("elements", variable.elements()).put("bytes", variable.bytes());
      node.put("trainable", variable.trainable());
    }
    json.put("twin_variables", model.twinVariables());
    json.put("other_variables", model.otherVariables());
    ArrayNode tables = json.putArray("tables");
    for (ModelDescription.Table table : model.tables()) {
      tables
          .addObject()
          .put("name", table.name())
          .put("keys", DataTypeNames.ofPython(table.keys()))
          .put("values", DataTypeNames.ofPython(table.values()));
    }
    put(json.putArray("assets"), model.assets());
    put(json.putArray("files"), model.files());
    WholeFile.write(target, out -> out.write(JSON.writeValueAsBytes(json)));
  }

  private static void put(ObjectNode node, Signature signature) {
    node.put("name", signature.name());
    ArrayNode inputs = node.putArray("inputs");
    signature.inputs().forEach(input -> put(inputs.addObject(), input));
    ArrayNode outputs = node.putArray("outputs");
    for (Result result : signature.outputs()) {
      ObjectNode output = outputs.addObject();
      put(output, result.tensor());
      output.put("operation", result.operation().orElse(null));
      output.put("trainable", result.trainable());
      ArrayNode unusable = output.putArray("unusable_gradients");
      result
          .unusableGradients()
          .forEach(
              gradient ->
                  unusable
                      .addObject()
                      .put("type", gradient.type())
                      .put("name", gradient.name())
                      .put("reason", gradient.reason()));
    }
    node.put("mode", signature.mode().map(ConstantConverter::label).orElse(null));
    node.put("mode_reason", signature.modeReason());
    node.put("provides_gradients", signature.providesGradients());
    node.put("operations", signature.operations());
    ObjectNode random = node.putObject("random_operations");
    signature.randomOperations().forEach(random::put);
    node.put("problem", signature.problem().orElse(null));
  }

  private static void put(ObjectNode node, Tensor tensor) {
    node.put("name", tensor.name()).put("dtype", DataTypeNames.ofPython(tensor.dtype()));
    put(node, tensor.shape());
  }

  private static void put(ObjectNode node, Shape shape) {
    if (shape.isUnknown()) {
      node.putNull("shape");
    } else {
      ArrayNode sizes = node.putArray("shape");
      shape.toListOrNull().forEach(size -> sizes.add(size));
    }
  }

  private static void put(ArrayNode array, List<FileSize> files) {
    for (FileSize file : files) {
      array.addObject().put("path", file.path().toString()).put("bytes", file.bytes());
    }
  }
}
