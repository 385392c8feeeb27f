package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.parse;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.types.TFloat32;

class TrainingSignatureTest {
  private static final String FLOATS = "value { name: 't:0' dtype: DT_FLOAT tensor_shape { %s } }";

  private static String input(String name) {
    return "inputs { key: '" + name + "' " + FLOATS.formatted("dim { size: -1 }") + " }";
  }

  private static String output(String name, String shape) {
    return "outputs { key: '" + name + "' " + FLOATS.formatted(shape) + " }";
  }

  private static Optional<TrainingSignature> signature(String... parts) {
    return TrainingSignature.of(
        "train", parse(SignatureDef.newBuilder(), String.join("\n", parts)).build());
  }

  private static void assertRefused(String expected, Runnable action) {
    String message = assertThrows(IllegalArgumentException.class, action::run).getMessage();
    assertTrue(message.contains(expected), message);
    assertTrue(message.contains("'train'"), message);
  }

  /** The gradients of variables "w" of two numbers, or as the names say. */
  private static ProvidedGradients gradients(
      String shape, List<String> outputNames, String... variableNames) {
    StringBuilder outputs = new StringBuilder(output("loss", ""));
    outputNames.forEach(name -> outputs.append(output(name, shape)));
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Map<String, Output<?>> tensors = new LinkedHashMap<>();
      tensors.put("loss", tf.constant(1f).asOutput());
      outputNames.forEach(name -> tensors.put(name, tf.constant(1f).asOutput()));
      List<ModelVariable> variables =
          List.of(variableNames).stream()
              .map(
                  name ->
                      new ModelVariable(
                          name,
                          tf.varHandleOp(TFloat32.class, Shape.of(2)).asOutput(),
                          Shape.of(2),
                          DataType.DT_FLOAT,
                          true))
              .toList();
      ProvidedGradients provided =
          signature(input("x"), input("labels"), outputs.toString())
              .orElseThrow()
              .gradients(Map.of(), tensors, variables);
      assertSame(tensors.get("loss"), provided.loss());
      assertEquals(Optional.empty(), provided.accuracy());
      return provided;
    }
  }

  @Test
  void otherSignaturesAreNone() {
    assertEquals(
        Optional.empty(), signature(input("x"), output("loss", ""), output("gradients", "")));
  }

  @Test
  void gradientsGoToTheVariablesOfTheirNames() {
    ProvidedGradients provided =
        gradients(
            "dim { size: 2 }", List.of("gradient/b", "gradient/layer/a"), "layer/a", "c", "b");
    assertEquals(
        List.of("layer/a", "b"),
        provided.gradients().keySet().stream().map(ModelVariable::name).toList());
    assertEquals(1, gradients("dim { size: -1 }", List.of("gradient/w"), "w").gradients().size());
    assertEquals(1, gradients("unknown_rank: true", List.of("gradient/w"), "w").gradients().size());
  }

  @Test
  void incompleteSignaturesAreRefused() {
    assertRefused("no input 'labels'", () -> signature(input("x"), output("gradient/w", "")));
    assertRefused("no output 'loss'", () -> signature(input("labels"), output("gradient/w", "")));
    assertRefused(
        "'loss' has the shape [2]",
        () ->
            signature(
                input("labels"), output("gradient/w", ""), output("loss", "dim { size: 2 }")));
    assertRefused(
        "'accuracy' has the shape [-1]",
        () ->
            signature(
                input("labels"),
                output("gradient/w", ""),
                output("loss", ""),
                output("accuracy", "dim { size: -1 }")));
    assertRefused(
        "'loss' holds int32",
        () ->
            signature(
                input("labels"),
                output("gradient/w", ""),
                output("loss", "").replace("DT_FLOAT", "DT_INT32")));
  }

  @Test
  void gradientsThatFitNoVariableAreRefused() {
    assertRefused(
        "'gradient/v' is the gradient of no variable",
        () -> gradients("dim { size: 2 }", List.of("gradient/v"), "w"));
    assertRefused(
        "two variables of the name 'w'",
        () -> gradients("dim { size: 2 }", List.of("gradient/w"), "w", "w"));
    assertRefused("of shape [3]", () -> gradients("dim { size: 3 }", List.of("gradient/w"), "w"));
  }
}
