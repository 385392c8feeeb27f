package dev.adafactor.finetune;

import java.util.List;
import java.util.Optional;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The loss of a model's output, and how often it is right, as operations.
 *
 * @param labels where the labels of a batch are fed
 * @param labelShape their shape, the batch dimension first
 * @param sampleWeights where the weights of a batch are fed, if it has any
 * @param loss the mean over the batch, weighted, a scalar
 * @param accuracy the share of right answers in the batch, unweighted, a scalar; none for a
 *     regression
 */
record Objective(
    Output<? extends TType> labels,
    Shape labelShape,
    Optional<Output<? extends TType>> sampleWeights,
    Operand<? extends TNumber> loss,
    Optional<Operand<TFloat32>> accuracy) {

  /**
   * Whether the model's output are probabilities (or, for a regression, just numbers) or logits.
   */
  enum OutputKind {
    PROBABILITIES,
    LOGITS
  }

  /**
   * Adds the operations.
   *
   * @param name the output's name, for messages
   * @param additional scalars to be added to the loss
   * @throws IllegalArgumentException if the loss cannot be taken of such an output, or so weighted
   */
  static Objective of(
      Ops tf,
      Loss loss,
      OutputKind kind,
      String name,
      Output<?> output,
      Weighting weighting,
      List<Output<?>> additional) {
    DataType dtype = output.dataType();
    Shape shape = output.shape();
    boolean isFloat = ElementType.of(dtype).isFloat();
    if (!isFloat) {
      throw new IllegalArgumentException(
          "output '%s' holds %s; a loss is taken of floats".formatted(name, ElementType.of(dtype)));
    }
    boolean needsClasses = loss.isCategorical();
    if (shape.isUnknown() || shape.isScalar() || (needsClasses && shape.get(-1) < 0)) {
      throw new IllegalArgumentException(
          "output '%s' has %s; %s takes one %s"
              .formatted(
                  name,
                  shape.isUnknown() ? "an unknown number of dimensions" : "the shape " + shape,
                  loss,
                  needsClasses ? "whose last dimension is known" : "with a batch dimension"));
    }
    for (int i = 1; i < shape.numDimensions(); i++) {
      if (shape.get(i) == 0) {
        throw new IllegalArgumentException(
            "output '%s' has the shape %s: there is nothing to take a loss of"
                .formatted(name, shape));
      }
    }
    // In half precision the loss would lose its digits, and the sum over a batch could overflow.
    return dtype == DataType.DT_DOUBLE
        ? new Builder<>(tf, loss, kind, output, TFloat64.class, weighting).build(additional)
        : new Builder<>(tf, loss, kind, output, TFloat32.class, weighting).build(additional);
  }

  /**
   * Makes the operations.
   *
   * @param <T> what the loss is computed in
   */
  private static final class Builder<T extends TNumber> {
    private final Ops tf;
    private final Loss loss;
    private final OutputKind kind;
    private final Class<T> type;
    private final Shape shape;
    private final Weighting weighting;
    private final Operand<T> output;

    Builder(
        Ops tf,
        Loss loss,
        OutputKind kind,
        Output<?> modelOutput,
        Class<T> type,
        Weighting weighting) {
      this.tf = tf;
      this.loss = loss;
      this.type = type;
      this.weighting = weighting;
      this.shape = modelOutput.shape();
      Optional<Output<?>> hiddenLogits = logits(loss, modelOutput);
      this.kind = hiddenLogits.isPresent() ? OutputKind.LOGITS : kind;
      // A cast to the type it has already costs nothing: TensorFlow passes the tensor on.
      this.output = tf.dtypes.cast(hiddenLogits.orElse(modelOutput), type);
    }

    Objective build(List<Output<?>> additional) {
      return switch (loss) {
        case SPARSE_CATEGORICAL_CROSSENTROPY -> {
          Shape labelShape = shape.take(shape.numDimensions() - 1);
          Placeholder<TInt64> labels = tf.placeholder(TInt64.class, Placeholder.shape(labelShape));
          Operand<TInt64> classes = tf.reshape(labels, tf.array(-1));
          Operand<T> oneHot =
              tf.oneHot(classes, tf.constant((int) shape.get(-1)), number(1), number(0));
          Operand<T> rows = tf.reshape(output, tf.array(-1, (int) shape.get(-1)));
          yield objective(
              labels,
              labelShape,
              positions(rows, oneHot),
              classes,
              rights(rows, oneHot),
              additional);
        }
        case CATEGORICAL_CROSSENTROPY -> {
          Placeholder<T> labels = tf.placeholder(type, Placeholder.shape(shape));
          Operand<T> expected = tf.reshape(labels, tf.array(-1, (int) shape.get(-1)));
          Operand<T> rows = tf.reshape(output, tf.array(-1, (int) shape.get(-1)));
          yield objective(
              labels,
              shape,
              positions(rows, expected),
              tf.math.argMax(expected, tf.constant(-1)),
              rights(rows, expected),
              additional);
        }
        case BINARY_CROSSENTROPY, MEAN_SQUARED_ERROR -> {
          Placeholder<T> labels = tf.placeholder(type, Placeholder.shape(shape));
          // Where dimensions are known only now: other shapes would be broadcast.
          Operand<T> expected = tf.reshape(labels, tf.shape(output));
          Operand<T> losses = positions(output, expected);
          if (shape.numDimensions() > 1) {
            losses = tf.math.mean(losses, tf.constant(-1));
          }
          yield objective(
              labels,
              shape,
              tf.reshape(losses, tf.array(-1)),
              tf.dtypes.cast(tf.math.round(tf.reshape(expected, tf.array(-1))), TInt64.class),
              agreements(expected),
              additional);
        }
      };
    }

    /**
     * The objective of losses by position.
     *
     * @param losses [positions]
     * @param classes the class of each position, [positions]
     * @param right whether the model answers right, of any shape
     */
    private Objective objective(
        Operand<?> labels,
        Shape labelShape,
        Operand<T> losses,
        Operand<TInt64> classes,
        Operand<TBool> right,
        List<Output<?>> additional) {
      Operand<T> weighted = losses;
      if (!weighting.classWeights().isEmpty()) {
        double[] weights = weighting.ofClasses(loss, shape);
        weighted =
            tf.math.mul(
                weighted,
                tf.gather(tf.dtypes.cast(tf.constant(weights), type), classes, tf.constant(0)));
      }
      Optional<Placeholder<T>> sampleWeights =
          weighting
              .sampleWeights()
              .map(
                  file ->
                      tf.placeholder(
                          type, Placeholder.shape(Weighting.fed(file, positionShape()))));
      if (sampleWeights.isPresent()) {
        Operand<T> column = tf.reshape(sampleWeights.get(), tf.array(-1, 1));
        Operand<T> rows = tf.reshape(weighted, tf.stack(List.of(tf.size(column), tf.constant(-1))));
        weighted = tf.reshape(tf.math.mul(rows, column), tf.array(-1));
      }
      Operand<T> total = tf.math.mean(weighted, tf.constant(0));
      for (Output<?> each : additional) {
        total = tf.math.add(total, tf.dtypes.cast(each, type));
      }
      return new Objective(
          labels.asOutput(),
          labelShape,
          sampleWeights.map(Operand::asOutput),
          total,
          loss.isClassification() ? Optional.of(share(right)) : Optional.empty());
    }

    /** Of the losses: tf_keras, too, has one for each last dimension of the output. */
    private Shape positionShape() {
      return shape.take(Math.max(1, shape.numDimensions() - 1));
    }

    private Operand<T> positions(Operand<T> outputs, Operand<T> labels) {
      return switch (kind) {
        case PROBABILITIES -> loss.ofProbabilities(tf, outputs, labels);
        case LOGITS -> loss.ofLogits(tf, outputs, labels);
      };
    }

    private Operand<TBool> rights(Operand<T> rows, Operand<T> expected) {
      return tf.math.equal(
          tf.math.argMax(rows, tf.constant(-1)), tf.math.argMax(expected, tf.constant(-1)));
    }

    private Operand<TBool> agreements(Operand<T> expected) {
      Operand<T> threshold = kind == OutputKind.LOGITS ? number(0) : number(0.5);
      return tf.math.equal(
          tf.math.greater(output, threshold), tf.math.greater(expected, number(0.5)));
    }

    private Operand<TFloat32> share(Operand<TBool> right) {
      Operand<TFloat32> ones = tf.dtypes.cast(tf.reshape(right, tf.array(-1)), TFloat32.class);
      return tf.math.mean(ones, tf.constant(0));
    }

    private Operand<T> number(double value) {
      return tf.dtypes.cast(tf.constant(value), type);
    }
  }

  /** What goes into the operation that makes the output, if that is the loss's activation. */
  static Optional<Output<?>> logits(Loss loss, Output<?> output) {
    GraphOperation maker = (GraphOperation) output.op();
    while (maker.type().equals("Identity")) {
      maker = (GraphOperation) maker.input(0).op();
    }
    return maker.type().equals(loss.activation()) ? Optional.of(maker.input(0)) : Optional.empty();
  }
}
