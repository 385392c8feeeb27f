package dev.adafactor.savedmodel;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

/**
 * What there is to know about a SavedModel before it is trained. The values of its variables are
 * not read.
 *
 * @param folder where it is
 * @param exporter what wrote it
 * @param maskingLayers the Keras layers that mask positions of sequences, as far as it tells
 * @param tensorFlowVersion version of the TensorFlow that wrote it; empty if it does not say
 * @param signatures what can be called, ordered by name
 * @param variables those that the signatures use, in the model's own order
 * @param twinVariables how many of them it holds twice, as Keras 3 exports them; they count once
 * @param otherVariables how many more it holds: an optimizer's, a metric's
 * @param tables the lookup tables, by the names of their operations
 * @param assets the files that its functions read, within its folder
 * @param files all its files
 */
public record ModelDescription(
    Path folder,
    Exporter exporter,
    List<String> maskingLayers,
    String tensorFlowVersion,
    List<Signature> signatures,
    List<Variable> variables,
    int twinVariables,
    int otherVariables,
    List<Table> tables,
    List<FileSize> assets,
    List<FileSize> files) {

  /** Copies the lists. */
  public ModelDescription {
    maskingLayers = List.copyOf(maskingLayers);
    signatures = List.copyOf(signatures);
    variables = List.copyOf(variables);
    tables = List.copyOf(tables);
    assets = List.copyOf(assets);
    files = List.copyOf(files);
  }

  /**
   * Describes a model with all its signatures.
   *
   * @param savedModelDir the folder that holds {@code saved_model.pb}; it is only read
   * @throws IOException if a file is missing or damaged
   */
  public static ModelDescription of(Path savedModelDir) throws IOException {
    return ModelInspection.of(SavedModelFolder.read(savedModelDir)).describe();
  }

  /**
   * One of the signatures.
   *
   * @throws IllegalArgumentException if the model has none of that name
   */
  public Signature signature(String name) {
    return signatures.stream()
        .filter(signature -> signature.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "The model '%s' has no signature '%s'; it has %s"
                        .formatted(
                            folder,
                            name,
                            signatures.isEmpty()
                                ? "none"
                                : signatures.stream().map(Signature::name).toList())));
  }

  /** What wrote a SavedModel. */
  public enum Exporter {
    /** Keras's {@code model.save}, with all that {@code load_model} needs. */
    KERAS_SAVE,

    /** Keras's {@code model.export}: signatures for predictions alone. */
    KERAS_EXPORT,

    /** {@code tf.saved_model.save}, of a Keras model or another object. */
    SAVED_MODEL_SAVE,

    /** TensorFlow 1, or a program that leaves Python's objects out. */
    WITHOUT_OBJECTS
  }

  /**
   * An input or output.
   *
   * @param name the name that the signature gives it
   * @param dtype type of its elements
   * @param shape its shape, as far as it is known
   */
  public record Tensor(String name, DataType dtype, Shape shape) {}

  /**
   * What a signature returns.
   *
   * @param tensor name, type and shape
   * @param operation type of the operation that gives it its values, such as {@code Softmax}: the
   *     last one that does not only pass on or rearrange; empty if that is unknown
   * @param unusableGradients what stands between it and the trainable variables
   * @param trainable whether it depends on trainable variables and can be differentiated with
   *     respect to them; false for a signature with gradients of its own, which are not looked into
   */
  public record Result(
      Tensor tensor,
      Optional<String> operation,
      List<UnusableGradient> unusableGradients,
      boolean trainable) {
    /** Copies the list. */
    public Result {
      unusableGradients = List.copyOf(unusableGradients);
    }
  }

  /**
   * A signature.
   *
   * @param name its name
   * @param inputs what it takes, ordered by name
   * @param outputs what it returns, ordered by name
   * @param mode which of the model's functions are trained if none is asked for; empty if there is
   *     a problem
   * @param modeReason why those
   * @param operations how many operations it consists of, in training and in inference; a branch or
   *     a loop counts as one, as does any function if the signature computes its own gradients
   * @param randomOperations how many operations of each type draw random numbers
   * @param problem why it cannot be looked into, and not be trained
   */
  public record Signature(
      String name,
      List<Tensor> inputs,
      List<Result> outputs,
      Optional<Mode> mode,
      String modeReason,
      int operations,
      Map<String, Integer> randomOperations,
      Optional<String> problem) {
    /** Copies the lists. */
    public Signature {
      inputs = List.copyOf(inputs);
      outputs = List.copyOf(outputs);
      randomOperations = Map.copyOf(randomOperations);
    }

    /** Whether it returns a loss and its gradients, and so brings its own way of being trained. */
    public boolean providesGradients() {
      return problem.isEmpty()
          && outputs.stream().anyMatch(output -> output.tensor().name().equals("loss"))
          && outputs.stream().anyMatch(output -> output.tensor().name().startsWith("gradient/"));
    }
  }

  /**
   * A variable.
   *
   * @param name the name that Python gave it; two may have the same
   * @param dtype type of its elements
   * @param shape shape of its value
   * @param trainable whether Python counts it among the trainable variables
   */
  public record Variable(String name, DataType dtype, Shape shape, boolean trainable) {
    /** Number of its elements, 0 if the shape is unknown. */
    public long elements() {
      return Math.max(0, shape.size());
    }

    /** Bytes of its value. */
    public long bytes() {
      return elements() * Tensors.width(dtype);
    }
  }

  /**
   * A lookup table.
   *
   * @param name name of its operation
   * @param keys type of its keys
   * @param values type of its values
   */
  public record Table(String name, DataType keys, DataType values) {}

  /**
   * A file.
   *
   * @param path within the model's folder
   * @param bytes its size
   */
  public record FileSize(Path path, long bytes) {}
}
