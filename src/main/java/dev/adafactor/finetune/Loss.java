package dev.adafactor.finetune;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.function.DoublePredicate;
import java.util.stream.Collectors;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Sum;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TNumber;

/**
 * What training minimizes: tf_keras's losses of the same names, reduced as {@code fit} does, to the
 * mean over all examples (and all positions, where an example has several).
 *
 * <p>Probabilities are clipped to {@code [1e-7, 1 - 1e-7]}. Where the model's output is made by a
 * softmax (for the categorical losses) or a sigmoid (for the binary one), the loss takes the logits
 * before it, as tf_keras does.
 */
public enum Loss {
  /**
   * Labels are classes: integers from 0, of the output's shape without its last dimension. Output:
   * a probability or logit for each class in the last dimension.
   */
  SPARSE_CATEGORICAL_CROSSENTROPY("Softmax") {
    @Override
    DataType labelType(DataType outputType) {
      return DataType.DT_INT64;
    }

    @Override
    String wantedLabels(long classes) {
      return "a class from 0 to " + (classes - 1);
    }

    @Override
    DoublePredicate acceptedLabels(long classes) {
      return label -> label >= 0 && label < classes;
    }

    @Override
    <T extends TNumber> Operand<T> ofLogits(Ops tf, Operand<T> logits, Operand<T> labels) {
      return CATEGORICAL_CROSSENTROPY.ofLogits(tf, logits, labels);
    }

    @Override
    <T extends TNumber> Operand<T> ofProbabilities(
        Ops tf, Operand<T> probabilities, Operand<T> labels) {
      return ofLogits(tf, tf.math.log(clip(tf, probabilities)), labels);
    }
  },

  /** Labels and output: a probability for each class (or output: a logit) in the last dimension. */
  CATEGORICAL_CROSSENTROPY("Softmax") {
    @Override
    <T extends TNumber> Operand<T> ofLogits(Ops tf, Operand<T> logits, Operand<T> labels) {
      // SoftmaxCrossEntropyWithLogits has a C++ gradient that works in float32 alone.
      return tf.math.neg(tf.sum(tf.math.mul(labels, tf.nn.logSoftmax(logits)), tf.constant(-1)));
    }

    @Override
    <T extends TNumber> Operand<T> ofProbabilities(
        Ops tf, Operand<T> probabilities, Operand<T> labels) {
      Operand<T> normalized =
          tf.math.div(probabilities, tf.sum(probabilities, tf.constant(-1), Sum.keepDims(true)));
      return tf.math.neg(
          tf.sum(tf.math.mul(labels, tf.math.log(clip(tf, normalized))), tf.constant(-1)));
    }
  },

  /** Labels of the output's shape, each from 0 to 1; output: the probability (or logit) of 1. */
  BINARY_CROSSENTROPY("Sigmoid") {
    @Override
    <T extends TNumber> Operand<T> ofLogits(Ops tf, Operand<T> logits, Operand<T> labels) {
      return tf.math.sub(tf.math.softplus(logits), tf.math.mul(logits, labels));
    }

    @Override
    <T extends TNumber> Operand<T> ofProbabilities(
        Ops tf, Operand<T> probabilities, Operand<T> labels) {
      Operand<T> one = number(tf, 1, probabilities);
      Operand<T> epsilon = number(tf, EPSILON, probabilities);
      Operand<T> clipped = clip(tf, probabilities);
      Operand<T> positive = tf.math.mul(labels, tf.math.log(tf.math.add(clipped, epsilon)));
      Operand<T> negative =
          tf.math.mul(
              tf.math.sub(one, labels),
              tf.math.log(tf.math.add(tf.math.sub(one, clipped), epsilon)));
      return tf.math.neg(tf.math.add(positive, negative));
    }
  },

  /** Labels of the output's shape: numbers that the output should be. */
  MEAN_SQUARED_ERROR("") {
    @Override
    String wantedLabels(long classes) {
      return "a finite number";
    }

    @Override
    DoublePredicate acceptedLabels(long classes) {
      return Double::isFinite;
    }

    @Override
    <T extends TNumber> Operand<T> ofLogits(Ops tf, Operand<T> output, Operand<T> labels) {
      return ofProbabilities(tf, output, labels);
    }

    @Override
    <T extends TNumber> Operand<T> ofProbabilities(Ops tf, Operand<T> output, Operand<T> labels) {
      return tf.math.squaredDifference(output, labels);
    }
  };

  private static final double EPSILON = 1e-7;

  private final String activation;

  Loss(String activation) {
    this.activation = activation;
  }

  /**
   * Finds a loss by tf_keras's name for it; {@code -} and {@code _} are the same.
   *
   * @throws IllegalArgumentException if there is none of that name
   */
  public static Loss of(String name) {
    String wanted = name.replace('-', '_').toUpperCase(Locale.ROOT);
    return Arrays.stream(values())
        .filter(loss -> loss.name().equals(wanted))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "loss '%s' is none of %s"
                        .formatted(
                            name,
                            Arrays.stream(values())
                                .map(Loss::toString)
                                .collect(Collectors.joining(", ")))));
  }

  /** The name, with dashes. */
  @Override
  public String toString() {
    return name().replace('_', '-').toLowerCase(Locale.ROOT);
  }

  /** The operation that makes probabilities for this loss of logits; empty if there is none. */
  String activation() {
    return activation;
  }

  /** Whether the output's last dimension has a number for each class. */
  boolean isCategorical() {
    return this == SPARSE_CATEGORICAL_CROSSENTROPY || this == CATEGORICAL_CROSSENTROPY;
  }

  /** Whether labels name classes, so that the share of right answers says something. */
  boolean isClassification() {
    return this != MEAN_SQUARED_ERROR;
  }

  /**
   * Which loss it would be, where labels have the shape that another one takes: one-hot in place of
   * classes, or classes in place of one-hot.
   *
   * @param output shape of the output, the batch dimension first
   * @param labels shape of the labels
   */
  Optional<String> betterFor(Shape output, Shape labels) {
    int rank = output.numDimensions();
    long classes = output.get(-1);
    if (!isClassification() || rank < 2 || classes < 2) {
      return Optional.empty();
    }
    boolean isSparse = this == SPARSE_CATEGORICAL_CROSSENTROPY;
    if (isSparse && labels.numDimensions() == rank && labels.get(-1) == classes) {
      return Optional.of("one-hot labels are for the loss " + CATEGORICAL_CROSSENTROPY);
    }
    boolean areClasses =
        labels.numDimensions() == rank - 1
            || (labels.numDimensions() == rank && labels.get(-1) == 1);
    return !isSparse && areClasses
        ? Optional.of(
            "an output of %d numbers takes classes with the loss %s"
                .formatted(classes, SPARSE_CATEGORICAL_CROSSENTROPY))
        : Optional.empty();
  }

  /** The type that labels are fed in. */
  DataType labelType(DataType outputType) {
    return outputType;
  }

  /** What a label must be, in words; {@code classes} is the size of the output's last dimension. */
  String wantedLabels(long classes) {
    return "a number from 0 to 1";
  }

  /** What {@link #wantedLabels} says. */
  DoublePredicate acceptedLabels(long classes) {
    return label -> label >= 0 && label <= 1;
  }

  /**
   * The loss at each position.
   *
   * @param logits what the model gives before its activation, [positions, last dimension]
   * @param labels numbers of the same shape (classes: one-hot)
   */
  abstract <T extends TNumber> Operand<T> ofLogits(Ops tf, Operand<T> logits, Operand<T> labels);

  /** {@link #ofLogits} for a model that gives probabilities (or plain numbers, for regression). */
  abstract <T extends TNumber> Operand<T> ofProbabilities(
      Ops tf, Operand<T> probabilities, Operand<T> labels);

  /**
   * By maximum and minimum: their C++ gradients pass on what is within, like tf.clip_by_value's.
   */
  private static <T extends TNumber> Operand<T> clip(Ops tf, Operand<T> probabilities) {
    Operand<T> epsilon = number(tf, EPSILON, probabilities);
    Operand<T> limit = tf.math.sub(number(tf, 1, probabilities), epsilon);
    return tf.math.maximum(tf.math.minimum(probabilities, limit), epsilon);
  }

  private static <T extends TNumber> Operand<T> number(Ops tf, double value, Operand<T> like) {
    return tf.dtypes.cast(tf.constant(value), like.type());
  }
}
