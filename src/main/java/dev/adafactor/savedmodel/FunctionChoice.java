package dev.adafactor.savedmodel;

import dev.adafactor.savedmodel.FunctionCalls.NotCallableException;
import dev.adafactor.savedmodel.SignatureMatch.NoMatchException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SignatureDef;

/**
 * What a model computes for a signature in training and in inference.
 *
 * <p>For training Python's functions for calling the model are taken, if the SavedModel carries
 * them: a trace for {@code training=True}, and the trace for {@code training=False} beside it. The
 * second must compute what the signature computes, which tells what is which input and which
 * output; a signature that does more, such as scaling its input first, is not one to train the
 * model's call by.
 *
 * @param graph the model's graph with the calls that were added
 * @param mode which of the two is to be trained
 * @param reason why, for the user
 * @param inference what the signature computes
 * @param training what a training step computes; the same in mode inference
 */
record FunctionChoice(GraphDef graph, Mode mode, String reason, Part inference, Part training) {

  /**
   * Tensors of the graph.
   *
   * @param outputs the results by the names of the signature's outputs
   * @param losses scalars to be added to the loss
   * @param updates the control input that ends when all side effects have, if there may be any
   */
  record Part(Map<String, String> outputs, List<String> losses, Optional<String> updates) {
    Set<String> tensors() {
      Set<String> tensors = new LinkedHashSet<>(outputs.values());
      tensors.addAll(losses);
      updates.ifPresent(tensors::add);
      return tensors;
    }
  }

  /** A trace that computes what the signature does, and how to call it. */
  private record Found(CallTrace trace, SignatureMatch match) {}

  /**
   * Looks for the functions.
   *
   * @param wanted the mode to train in; if empty, training where the model carries it
   * @throws IllegalArgumentException if the model cannot be trained in the wanted mode
   */
  static FunctionChoice of(
      MetaGraphDef model, String signature, Map<String, OpDef> operations, Optional<Mode> wanted) {
    SignatureDef definition = model.getSignatureDefOrThrow(signature);
    FunctionCalls calls = new FunctionCalls(model);
    Part plain = new Part(outputs(definition), List.of(), Optional.empty());
    boolean asked = wanted.equals(Optional.of(Mode.INFERENCE));
    try {
      List<CallTrace> traces = CallTrace.ofRoot(model.getObjectGraphDef());
      Found found = find(traces, definition, model, operations);
      List<String> regularization = new ArrayList<>();
      for (RegularizationLoss loss : RegularizationLoss.ofRoot(model.getObjectGraphDef())) {
        regularization.add(
            calls.call("regularization_loss", loss.function(), List.of(), loss.boundInputs())
                + ":0");
      }
      Part inference =
          found.trace.losses() == 0
              ? new Part(plain.outputs, regularization, Optional.empty())
              : call(calls, "inference", found.trace, found.match, regularization);
      if (asked) {
        return inference(calls, "as it was asked for", inference);
      }
      Optional<CallTrace> trace = inTraining(traces, found.trace);
      if (trace.isEmpty()) {
        String reason =
            found.trace.training().isEmpty()
                ? "the model's call has no argument 'training'"
                : "the model's call was not saved with training=True";
        requireNot(Mode.TRAINING, wanted, reason);
        return inference(calls, reason, inference);
      }
      Part training = call(calls, "training", trace.get(), found.match, regularization);
      return new FunctionChoice(
          calls.graph(),
          Mode.TRAINING,
          "the model carries its functions for training",
          inference,
          training);
    } catch (NoMatchException | NotCallableException e) {
      requireNot(Mode.TRAINING, wanted, e.getMessage());
      return inference(
          new FunctionCalls(model), asked ? "as it was asked for" : e.getMessage(), plain);
    }
  }

  private static FunctionChoice inference(FunctionCalls calls, String reason, Part part) {
    return new FunctionChoice(calls.graph(), Mode.INFERENCE, reason, part, part);
  }

  private static void requireNot(Mode mode, Optional<Mode> wanted, String reason) {
    if (wanted.equals(Optional.of(mode))) {
      throw new IllegalArgumentException(
          "mode training: "
              + reason
              + "; leave the mode out, or say inference, to train the signature as it predicts");
    }
  }

  private static Map<String, String> outputs(SignatureDef signature) {
    Map<String, String> outputs = new LinkedHashMap<>();
    signature.getOutputsMap().keySet().stream()
        .sorted()
        .forEach(name -> outputs.put(name, signature.getOutputsOrThrow(name).getName()));
    return outputs;
  }

  private static Found find(
      List<CallTrace> traces,
      SignatureDef signature,
      MetaGraphDef model,
      Map<String, OpDef> operations)
      throws NoMatchException {
    NoMatchException obstacle =
        new NoMatchException("the model carries no functions for training, the signature alone");
    for (CallTrace trace : traces) {
      if (trace.training().orElse(false)) {
        continue;
      }
      try {
        return new Found(trace, SignatureMatch.of(trace, signature, model, operations));
      } catch (NoMatchException e) {
        obstacle = e;
      }
    }
    throw obstacle;
  }

  /** The trace for training that differs from one for inference in nothing else. */
  private static Optional<CallTrace> inTraining(List<CallTrace> traces, CallTrace inference) {
    return traces.stream()
        .filter(trace -> trace.training().orElse(false))
        .filter(trace -> trace.others().equals(inference.others()))
        .filter(trace -> trace.outputs() == inference.outputs())
        .findFirst();
  }

  private static Part call(
      FunctionCalls calls,
      String name,
      CallTrace trace,
      SignatureMatch match,
      List<String> regularization)
      throws NotCallableException {
    String call = calls.call(name, trace.function(), match.arguments(), trace.boundInputs());
    Map<String, String> outputs = new LinkedHashMap<>();
    match.results().keySet().stream()
        .sorted()
        .forEach(output -> outputs.put(output, call + ":" + match.results().get(output)));
    List<String> losses = new ArrayList<>();
    for (int i = trace.outputs(); i < trace.outputs() + trace.losses(); i++) {
      losses.add(call + ":" + i);
    }
    losses.addAll(regularization);
    return new Part(outputs, losses, Optional.of("^" + call));
  }
}
