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
 * @param flat the graph of both parts and of the signature's inputs
 * @param mode which of the two is to be trained
 * @param reason why, for the user
 * @param inference what the signature computes
 * @param training what a training step computes; the same in mode inference
 */
record FunctionChoice(FlatGraph flat, Mode mode, String reason, Part inference, Part training) {

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

  private static final String AS_ASKED = "as it was asked for";

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
    List<String> regularization = regularization(calls, model);
    Part plain = new Part(outputs(definition), regularization, Optional.empty());
    Candidates candidates = new Candidates(model, definition, operations, calls, plain);
    try {
      List<CallTrace> traces = CallTrace.ofRoot(model.getObjectGraphDef());
      Found found = find(traces, definition, model, operations);
      Optional<CallTrace> trace = inTraining(traces, found.trace);
      if (wanted.equals(Optional.of(Mode.INFERENCE)) || trace.isEmpty()) {
        String reason =
            found.trace.training().isEmpty()
                ? "the model's call has no argument 'training'"
                : "the model's call was not saved with training=True";
        requireNot(Mode.TRAINING, wanted, reason);
        return candidates.inference(wanted.isPresent() ? AS_ASKED : reason, found);
      }
      return candidates.training(found, trace.get());
    } catch (NoMatchException | NotCallableException e) {
      requireNot(Mode.TRAINING, wanted, e.getMessage());
      return candidates.signature(wanted.isPresent() ? AS_ASKED : e.getMessage());
    }
  }

  /** What may be chosen. */
  private record Candidates(
      MetaGraphDef model,
      SignatureDef signature,
      Map<String, OpDef> operations,
      FunctionCalls calls,
      Part plain) {
    /** The signature alone. */
    FunctionChoice signature(String reason) {
      return new FunctionChoice(flatten(List.of(plain)), Mode.INFERENCE, reason, plain, plain);
    }

    FunctionChoice inference(String reason, Found found)
        throws NoMatchException, NotCallableException {
      if (found.trace.losses() == 0) {
        return signature(reason);
      }
      Part call = call("inference", found.trace, found.match);
      FlatGraph flat =
          found.match.lacksMasks()
              ? masked(call, List.of(call), List.of(call))
              : flatten(List.of(call));
      return new FunctionChoice(flat, Mode.INFERENCE, reason, call, call);
    }

    FunctionChoice training(Found found, CallTrace trace)
        throws NoMatchException, NotCallableException {
      boolean hasLosses = found.trace.losses() > 0;
      Part call = call("inference", found.trace, found.match);
      Part training = call("training", trace, found.match);
      Part inference = hasLosses ? call : plain;
      List<Part> wanted = List.of(inference, training);
      FlatGraph flat =
          found.match.lacksMasks()
              ? masked(call, hasLosses ? wanted : List.of(training), wanted)
              : flatten(wanted);
      String end = Tensors.node(flat.tensors().get(training.updates.orElseThrow()));
      if (UnmaskedStatistics.mayBeIn(flat.graphDef(), end, model)) {
        throw new NoMatchException(
            "what it carries for training may lack the mask of a batch normalization (tf_keras does"
                + " not save what a Masking layer or a model within the model masks)");
      }
      return new FunctionChoice(
          flat,
          Mode.TRAINING,
          found.match.lacksMasks()
              ? "the model carries its functions for training, but for masks, which are the signature's"
              : "the model carries its functions for training",
          inference,
          training);
    }

    /**
     * Functions with the masks of the signature.
     *
     * @param wanted those that are used, with or without masks
     */
    private FlatGraph masked(Part unmasked, List<Part> functions, List<Part> wanted)
        throws NoMatchException {
      List<Part> parts = new ArrayList<>(functions);
      parts.add(plain);
      parts.add(unmasked);
      return MissingMasks.add(
              flatten(parts), plain, unmasked, functions, model.getGraphDef(), operations)
          .pruned(tensors(wanted));
    }

    private FlatGraph flatten(List<Part> parts) {
      return FunctionFlattener.flatten(calls.graph(), operations, tensors(parts));
    }

    private Set<String> tensors(List<Part> parts) {
      Set<String> tensors = new LinkedHashSet<>();
      parts.forEach(part -> tensors.addAll(part.tensors()));
      signature.getInputsMap().values().forEach(info -> tensors.add(info.getName()));
      return tensors;
    }

    private Part call(String name, CallTrace trace, SignatureMatch match)
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
      losses.addAll(plain.losses);
      return new Part(outputs, losses, Optional.of("^" + call));
    }
  }

  /**
   * Takes a signature that computes its own gradients.
   *
   * @throws IllegalArgumentException if inference is wanted
   */
  static FunctionChoice asItIs(MetaGraphDef model, String signature, Optional<Mode> wanted) {
    if (wanted.equals(Optional.of(Mode.INFERENCE))) {
      throw new IllegalArgumentException(
          "mode inference: the signature '%s' computes its own gradients; leave the mode out"
              .formatted(signature));
    }
    SignatureDef definition = model.getSignatureDefOrThrow(signature);
    Part part = new Part(outputs(definition), List.of(), Optional.empty());
    Set<String> tensors = part.tensors();
    definition.getInputsMap().values().forEach(info -> tensors.add(info.getName()));
    return new FunctionChoice(
        FlatGraph.asItIs(model.getGraphDef(), tensors),
        Mode.TRAINING,
        "the signature '%s' computes its own gradients".formatted(signature),
        part,
        part);
  }

  private static List<String> regularization(FunctionCalls calls, MetaGraphDef model) {
    List<String> losses = new ArrayList<>();
    for (RegularizationLoss loss : RegularizationLoss.ofRoot(model.getObjectGraphDef())) {
      try {
        losses.add(
            calls.call("regularization_loss", loss.function(), List.of(), loss.boundInputs())
                + ":0");
      } catch (NotCallableException e) {
        throw new IllegalArgumentException(
            "The model is inconsistent, in a regularizer: " + e.getMessage(), e);
      }
    }
    return losses;
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
}
