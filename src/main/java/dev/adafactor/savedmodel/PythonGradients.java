package dev.adafactor.savedmodel;

import dev.adafactor.graph.FunctionGradients;
import dev.adafactor.savedmodel.FunctionDerivative.NoGradientException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.FunctionDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.RegisteredGradient;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.Struct.StructuredValue;

/** The gradients that a model's own Python code defined with {@code tf.custom_gradient}. */
final class PythonGradients {
  private final Map<String, String> functionNames = new HashMap<>();
  private final Map<String, FunctionDef> functions = new HashMap<>();
  private final SavedObjectGraph objects;
  private final CapturedObjects capturedObjects;

  PythonGradients(MetaGraphDef model) {
    for (RegisteredGradient gradient :
        model.getGraphDef().getLibrary().getRegisteredGradientsList()) {
      functionNames.put(gradient.getRegisteredOpType(), gradient.getGradientFunc());
    }
    for (FunctionDef function : model.getGraphDef().getLibrary().getFunctionList()) {
      functions.put(function.getSignature().getName(), function);
    }
    objects = model.getObjectGraphDef();
    capturedObjects = CapturedObjects.of(model);
  }

  /**
   * A gradient function of the model's library. It takes the gradients of all outputs of the {@code
   * IdentityN}, then what it captured.
   *
   * @param function its name
   * @param inputs the inputs of the {@code IdentityN} whose gradients it returns
   * @param captures the tensors that it was defined with, handles of variables among them
   */
  record Gradient(String function, List<Integer> inputs, List<String> captures) {}

  /**
   * The gradient of an {@code IdentityN}.
   *
   * @param node the node in the flat graph
   * @param names the names of all nodes of the flat graph
   * @param variables those of variables
   * @throws NoGradientException if the model does not have it, or not all that it needs
   */
  Gradient of(NodeDef node, Set<String> names, Set<String> variables) throws NoGradientException {
    String type = node.getAttrOrThrow(FunctionGradients.PYTHON).getS().toStringUtf8();
    FunctionDef function = functions.get(functionNames.getOrDefault(type, ""));
    if (function == null) {
      throw new NoGradientException("a custom gradient (tf.custom_gradient) that was not saved");
    }
    String name = function.getSignature().getName();
    SavedConcreteFunction saved =
        objects.getConcreteFunctionsOrDefault(name, SavedConcreteFunction.getDefaultInstance());
    int outputs = Tensors.inputs(node).size();
    List<Integer> inputs = inputs(saved.getOutputSignature());
    if (inputs.size() != function.getSignature().getOutputArgCount()
        || inputs.stream().anyMatch(input -> input >= outputs)
        || function.getSignature().getInputArgCount() != outputs + saved.getBoundInputsCount()) {
      throw new NoGradientException(
          "its custom gradient '%s', which takes or returns something else".formatted(name));
    }
    List<String> captures = new ArrayList<>();
    for (int object : saved.getBoundInputsList()) {
      String tensor = captured(object, node, names, variables);
      if (tensor == null) {
        throw new NoGradientException(
            "its custom gradient '%s', which captures something that is not found".formatted(name));
      }
      captures.add(tensor);
    }
    return new Gradient(name, inputs, captures);
  }

  private String captured(int object, NodeDef node, Set<String> names, Set<String> variables)
      throws NoGradientException {
    SavedObject saved = objects.getNodes(object);
    return switch (saved.getKindCase()) {
      case CAPTURED_TENSOR -> find(saved.getCapturedTensor().getName(), node.getName(), names);
      case VARIABLE ->
          capturedObjects
              .tensor(object)
              .filter(variables::contains)
              .orElseThrow(
                  () ->
                      new NoGradientException(
                          "its custom gradient, which captures the variable '%s' in a branch or a"
                                  .formatted(saved.getVariable().getName())
                              + " loop, or does not share it with what it is the gradient of"));
      default -> null;
    };
  }

  /** The places of the function's results that are not None. */
  private static List<Integer> inputs(StructuredValue signature) {
    List<StructuredValue> values =
        switch (signature.getKindCase()) {
          case LIST_VALUE -> signature.getListValue().getValuesList();
          case TUPLE_VALUE -> signature.getTupleValue().getValuesList();
          default -> List.of();
        };
    List<Integer> inputs = new ArrayList<>();
    for (int i = 0; i < values.size(); i++) {
      if (!values.get(i).hasNoneValue()) {
        inputs.add(i);
      }
    }
    return inputs;
  }

  /** The tensor of the same body as a node: its flat name begins as the node's does. */
  private static String find(String tensor, String node, Set<String> names) {
    for (int end = node.lastIndexOf('/'); ; end = node.lastIndexOf('/', end - 1)) {
      String prefix = end < 0 ? "" : node.substring(0, end + 1);
      if (names.contains(prefix + Tensors.node(tensor))) {
        return prefix + tensor;
      }
      if (end <= 0) {
        return null;
      }
    }
  }
}
