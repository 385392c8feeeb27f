package dev.adafactor.savedmodel;

import dev.adafactor.graph.ErrorLine;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.tensorflow.Output;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.op.Op;
import org.tensorflow.proto.NodeDef;

/** What a model computes, without function calls, so that it can be differentiated. */
public final class ModelFunction {
  /** What native code says of an operation without a gradient. */
  private static final Pattern MISSING = Pattern.compile("No gradient defined for op: (\\w+)");

  private final String name;
  private final FlatCopy copy;
  private final Map<String, Output<?>> outputs;
  private final List<Output<?>> losses;
  private final Optional<Op> updates;

  /**
   * Describes a part of a flat copy.
   *
   * @param name what it is, for messages
   */
  ModelFunction(
      String name,
      FlatCopy copy,
      Map<String, Output<?>> outputs,
      List<Output<?>> losses,
      Optional<Op> updates) {
    this.name = name;
    this.copy = copy;
    this.outputs = Collections.unmodifiableMap(new LinkedHashMap<>(outputs));
    this.losses = List.copyOf(losses);
    this.updates = updates;
  }

  /** The results, by the names that the signature gives its outputs. */
  public Map<String, Output<?>> outputs() {
    return outputs;
  }

  /**
   * Scalars of floats that belong to the loss of each batch and are to be added to it: what
   * regularizers and {@code add_loss} of the model's layers made, as {@code model.losses} in
   * Python.
   */
  public List<Output<?>> losses() {
    return losses;
  }

  /**
   * The operation that has ended when all that the function changes is changed, such as the
   * statistics of batch normalization. Whatever uses a result waits for it; empty if the function
   * changes nothing.
   */
  public Optional<Op> updates() {
    return updates;
  }

  /**
   * The operations between variables and an output, or one of the {@link #losses()}, whose
   * gradients cannot be used: TensorFlow has none, has a wrong one, or has one that was not checked
   * against Python's.
   *
   * @param outputName name of one of the {@link #outputs()}
   * @param trained the variables to differentiate with respect to
   * @return empty if the output can be differentiated
   */
  public List<UnusableGradient> unusableGradients(
      String outputName, Collection<ModelVariable> trained) {
    return unusable(outputName, trained, UncheckedGradients.REFUSE);
  }

  private List<UnusableGradient> unusable(
      String outputName, Collection<ModelVariable> trained, UncheckedGradients unchecked) {
    List<UnusableGradient> unusable = new ArrayList<>();
    for (NodeDef node : gradientPath(outputName, trained)) {
      TrustedGradients.objection(node, unchecked)
          .ifPresent(
              reason -> unusable.add(new UnusableGradient(node.getOp(), node.getName(), reason)));
    }
    return List.copyOf(unusable);
  }

  /**
   * Makes sure that an output and the {@link #losses()} can be differentiated with respect to
   * variables. To be called before gradients are built: for some operations native code would
   * compute a wrong gradient, or end the process.
   *
   * @param outputName name of one of the {@link #outputs()}
   * @param trained the variables to differentiate with respect to
   * @param unchecked what to do with operations that were not checked
   * @throws IllegalArgumentException if they cannot; the message names the operations
   */
  public void requireGradients(
      String outputName, Collection<ModelVariable> trained, UncheckedGradients unchecked) {
    List<UnusableGradient> unusable = unusable(outputName, trained, unchecked);
    if (!unusable.isEmpty()) {
      boolean mayBeAllowed = unusable(outputName, trained, UncheckedGradients.ALLOW).isEmpty();
      throw cannot(
          outputName,
          list(unusable)
              + (mayBeAllowed
                  ? "; --allow-unchecked-gradients trusts TensorFlow's own gradient, if there is one"
                  : ""));
    }
    if (path(outputs.get(outputName), trained).isEmpty()) {
      throw new IllegalArgumentException(
          String.format(
              "Output '%s' of %s depends on none of the variables to train", outputName, name));
    }
    List<UnusableGradient> trusted = unusableGradients(outputName, trained);
    if (!trusted.isEmpty()) {
      probe(outputName, trained, list(trusted));
    }
  }

  /** Builds gradients that nothing uses: native code says which operation has none. */
  private void probe(String outputName, Collection<ModelVariable> trained, String trusted) {
    Output<?>[] sources =
        trained.stream()
            .filter(variable -> !path(outputs.get(outputName), List.of(variable)).isEmpty())
            .map(ModelVariable::handle)
            .toArray(Output<?>[]::new);
    try {
      copy.graph().addGradients(outputs.get(outputName), sources);
    } catch (TensorFlowException | TFInvalidArgumentException e) {
      String said = ErrorLine.of(e);
      Matcher missing = MISSING.matcher(said);
      String type = missing.find() ? missing.group(1) : "";
      throw cannot(
          outputName,
          unusableGradients(outputName, trained).stream()
              .filter(operation -> operation.type().equals(type))
              .map(o -> new UnusableGradient(o.type(), o.name(), TrustedGradients.MISSING))
              .map(UnusableGradient::toString)
              .findFirst()
              .orElse(trusted + ": " + said));
    }
  }

  /** Whether {@link #requireGradients} would find nothing to object to. */
  boolean hasGradients(
      String outputName, Collection<ModelVariable> trained, UncheckedGradients unchecked) {
    return unusable(outputName, trained, unchecked).isEmpty()
        && !path(outputs.get(outputName), trained).isEmpty();
  }

  private IllegalArgumentException cannot(String outputName, String reason) {
    return new IllegalArgumentException(
        String.format("Output '%s' of %s cannot be trained: %s", outputName, name, reason));
  }

  private static String list(List<UnusableGradient> unusable) {
    List<UnusableGradient> more = unusable.subList(1, unusable.size());
    return unusable.get(0)
        + (more.isEmpty()
            ? ""
            : String.format(
                " (and %d more: %s)",
                more.size(),
                more.stream()
                    .limit(5)
                    .map(UnusableGradient::type)
                    .distinct()
                    .collect(Collectors.joining(", "))));
  }

  /** The nodes whose gradients are needed. */
  List<NodeDef> gradientPath(String outputName, Collection<ModelVariable> trained) {
    Output<?> output = outputs.get(outputName);
    if (output == null) {
      throw new IllegalArgumentException(
          String.format(
              "There is no output '%s' of %s; it has %s", outputName, name, outputs.keySet()));
    }
    Set<NodeDef> path = new LinkedHashSet<>(path(output, trained));
    losses.forEach(loss -> path.addAll(path(loss, trained)));
    return List.copyOf(path);
  }

  private List<NodeDef> path(Output<?> result, Collection<ModelVariable> trained) {
    return GradientPaths.between(
        copy.flat().graphDef(),
        copy.node(result),
        trained.stream().map(variable -> copy.node(variable.handle())).toList());
  }
}
