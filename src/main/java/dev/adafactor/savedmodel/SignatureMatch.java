package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionCalls.NotCallableException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;
import org.tensorflow.proto.TensorShapeProto;

/**
 * How to call a function of a model so that it computes what a signature does.
 *
 * @param arguments the tensors of the signature's inputs in the order of the function's arguments
 * @param results which of the function's results each output of the signature is, by its name
 * @param lacksMasks whether the signature has masks, of scores or in loops, that the function lacks
 */
record SignatureMatch(List<String> arguments, Map<String, Integer> results, boolean lacksMasks) {

  /** A function does not compute what a signature does, or it cannot be told how. */
  static final class NoMatchException extends Exception {
    private static final long serialVersionUID = 1L;

    NoMatchException(String reason) {
      super(reason);
    }
  }

  /**
   * Compares a trace with a signature.
   *
   * @throws NoMatchException with what differs, as the end of a sentence about the model
   */
  static SignatureMatch of(
      CallTrace trace, SignatureDef signature, MetaGraphDef model, Map<String, OpDef> operations)
      throws NoMatchException {
    if (trace.arguments().size() != signature.getInputsCount()) {
      throw new NoMatchException(
          "its call takes %d tensors, the signature %d"
              .formatted(trace.arguments().size(), signature.getInputsCount()));
    }
    FunctionCalls calls = new FunctionCalls(model);
    List<String> placeholders = new ArrayList<>();
    for (CallTrace.Argument argument : trace.arguments()) {
      placeholders.add(calls.placeholder("argument", argument.dtype()));
    }
    String call;
    try {
      call = calls.call("call", trace.function(), placeholders, trace.boundInputs());
    } catch (NotCallableException e) {
      throw new NoMatchException(e.getMessage());
    }
    Set<String> tensors = new LinkedHashSet<>();
    signature.getInputsMap().values().forEach(info -> tensors.add(info.getName()));
    signature.getOutputsMap().values().forEach(info -> tensors.add(info.getName()));
    for (int i = 0; i < trace.outputs(); i++) {
      tensors.add(call + ":" + i);
    }
    FlatGraph flat = FunctionFlattener.flatten(calls.graph(), operations, tensors);
    GraphMatch graph = new GraphMatch(flat.graphDef(), model.getGraphDef(), operations);
    Map<String, String> bound = boundByName(trace, signature, placeholders);
    Map<String, Integer> results = new HashMap<>();
    boolean lacksMasks = false;
    for (String name : new TreeMap<>(signature.getOutputsMap()).keySet()) {
      String output = flat.tensors().get(signature.getOutputsOrThrow(name).getName());
      Map<Integer, MaskedMatch> possible = new TreeMap<>();
      String difference = name;
      int most = 0;
      for (int i = 0; i < trace.outputs(); i++) {
        if (trace.mayBe(i, name, signature.getOutputsMap().keySet())) {
          MaskedMatch match =
              MaskedMatch.of(graph, output, flat.tensors().get(call + ":" + i), bound);
          if (match.isSame()) {
            possible.put(i, match);
          } else if (match.same().size() >= most) {
            most = match.same().size();
            difference = Tensors.node(match.different().get(0).first());
          }
        }
      }
      if (possible.values().stream().anyMatch(MaskedMatch::hasAllMasks)) {
        possible.values().removeIf(match -> !match.hasAllMasks());
      }
      if (possible.isEmpty()) {
        throw new NoMatchException(
            ("what it carries for training computes something else than the signature, at '%s'"
                    + " (tf_keras saves what follows a Masking layer or a model within the model"
                    + " there without masks, for one); a signature of your own that gives loss and"
                    + " gradients trains it as Python does")
                .formatted(difference));
      }
      if (possible.size() > 1) {
        throw new NoMatchException("two results of its call are the same in inference");
      }
      int result = possible.keySet().iterator().next();
      results.put(name, result);
      bound = possible.get(result).placeholders();
      lacksMasks |= !possible.get(result).hasAllMasks();
    }
    return new SignatureMatch(
        arguments(trace, signature, placeholders, bound), results, lacksMasks);
  }

  /** Arguments that have the names of the signature's inputs are these inputs. */
  private static Map<String, String> boundByName(
      CallTrace trace, SignatureDef signature, List<String> placeholders) {
    Map<String, String> bound = new HashMap<>();
    for (int i = 0; i < placeholders.size(); i++) {
      TensorInfo input = signature.getInputsMap().get(trace.arguments().get(i).name());
      if (input != null) {
        bound.put(placeholders.get(i), Tensors.node(input.getName()));
      }
    }
    return bound.size() == signature.getInputsCount() ? bound : Map.of();
  }

  private static List<String> arguments(
      CallTrace trace, SignatureDef signature, List<String> placeholders, Map<String, String> bound)
      throws NoMatchException {
    Map<String, String> inputs = new TreeMap<>();
    signature
        .getInputsMap()
        .forEach((name, info) -> inputs.put(Tensors.node(info.getName()), name));
    List<String> arguments = new ArrayList<>();
    for (int i = 0; i < placeholders.size(); i++) {
      // A result may not depend on all inputs: what is left when all others are told is clear.
      String input =
          inputs.size() == 1 && !bound.containsKey(placeholders.get(i))
              ? inputs.keySet().iterator().next()
              : bound.get(placeholders.get(i));
      String name = input == null ? null : inputs.remove(input);
      if (name == null) {
        throw new NoMatchException("it cannot be told which argument of its call is which input");
      }
      TensorInfo info = signature.getInputsOrThrow(name);
      CallTrace.Argument argument = trace.arguments().get(i);
      if (argument.dtype() != info.getDtype() || !takes(argument.shape(), info.getTensorShape())) {
        throw new NoMatchException(
            "its call takes '" + name + "' in another shape or type than the signature");
      }
      arguments.add(info.getName());
    }
    return arguments;
  }

  private static boolean takes(TensorShapeProto argument, TensorShapeProto input) {
    if (argument.getUnknownRank()) {
      return true;
    }
    if (input.getUnknownRank() || input.getDimCount() != argument.getDimCount()) {
      return false;
    }
    for (int i = 0; i < argument.getDimCount(); i++) {
      long size = argument.getDim(i).getSize();
      if (size >= 0 && size != input.getDim(i).getSize()) {
        return false;
      }
    }
    return true;
  }
}
