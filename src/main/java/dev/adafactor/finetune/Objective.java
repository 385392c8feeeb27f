package dev.adafactor.finetune;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
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
 * @param loss the mean over the batch, a scalar
 * @param accuracy the share of right answers in the batch, a scalar; none for a regression
 */
record Objective(
    Output<? extends TType> labels,
    Shape labelShape,
    Operand<? extends TNumber> loss,
    Optional<Operand<TFloat32>> accuracy) {

  private static final Logger LOGGER = System.getLogger(Objective.class.getName());

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
   * @throws IllegalArgumentException if the loss cannot be taken of such an output
   */
  static Objective of(Ops tf, Loss loss, OutputKind kind, String name, Output<?> output) {
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
          "output '%s' has the shape %s; %s takes one %s"
              .formatted(
                  name,
                  shape,
                  loss,
                  needsClasses ? "whose last dimension is known" : "with a batch dimension"));
    }
    // In half precision the loss would lose its digits, and the sum over a batch could overflow.
    return dtype == DataType.DT_DOUBLE
        ? build(tf, loss, kind, output, TFloat64.class)
        : build(tf, loss, kind, output, TFloat32.class);
  }

  private static <T extends TNumber> Objective build(
      Ops tf, Loss loss, OutputKind kind, Output<?> modelOutput, Class<T> type) {
    Optional<Output<?>> hiddenLogits = inputOf(loss.activation(), modelOutput);
    if (hiddenLogits.isPresent() && kind == OutputKind.LOGITS) {
      LOGGER.log(
          Level.WARNING,
          "the output is said to be logits, but a {0} makes it: the loss takes what goes into that",
          loss.activation());
    }
    OutputKind outputKind = hiddenLogits.isPresent() ? OutputKind.LOGITS : kind;
    Operand<T> output = as(tf, type, hiddenLogits.orElse(modelOutput));
    Shape shape = modelOutput.shape();
    return switch (loss) {
      case SPARSE_CATEGORICAL_CROSSENTROPY -> {
        Shape labelShape = shape.take(shape.numDimensions() - 1);
        Placeholder<TInt64> classes = tf.placeholder(TInt64.class, Placeholder.shape(labelShape));
        Operand<T> oneHot =
            tf.oneHot(
                tf.reshape(classes, tf.array(-1)),
                tf.constant((int) shape.get(-1)),
                number(tf, type, 1),
                number(tf, type, 0));
        yield categorical(tf, loss, outputKind, output, shape, classes, labelShape, oneHot);
      }
      case CATEGORICAL_CROSSENTROPY -> {
        Placeholder<T> labels = tf.placeholder(type, Placeholder.shape(shape));
        Operand<T> rows = tf.reshape(labels, tf.array(-1, (int) shape.get(-1)));
        yield categorical(tf, loss, outputKind, output, shape, labels, shape, rows);
      }
      case BINARY_CROSSENTROPY, MEAN_SQUARED_ERROR -> {
        Placeholder<T> labels = tf.placeholder(type, Placeholder.shape(shape));
        yield elementwise(tf, loss, outputKind, output, labels, shape);
      }
    };
  }

  private static <T extends TNumber> Objective categorical(
      Ops tf,
      Loss loss,
      OutputKind kind,
      Operand<T> output,
      Shape shape,
      Operand<? extends TType> labels,
      Shape labelShape,
      Operand<T> expected) {
    Operand<T> rows = tf.reshape(output, tf.array(-1, (int) shape.get(-1)));
    Operand<TBool> right =
        tf.math.equal(
            tf.math.argMax(rows, tf.constant(-1)), tf.math.argMax(expected, tf.constant(-1)));
    return new Objective(
        labels.asOutput(),
        labelShape,
        mean(tf, positions(tf, loss, kind, rows, expected)),
        Optional.of(share(tf, right)));
  }

  private static <T extends TNumber> Objective elementwise(
      Ops tf, Loss loss, OutputKind kind, Operand<T> output, Operand<T> labels, Shape labelShape) {
    Operand<T> values = tf.reshape(output, tf.array(-1));
    Operand<T> expected = tf.reshape(labels, tf.array(-1));
    Operand<T> half = number(tf, output.type(), 0.5);
    Operand<T> threshold = kind == OutputKind.LOGITS ? number(tf, output.type(), 0) : half;
    Operand<TBool> right =
        tf.math.equal(tf.math.greater(values, threshold), tf.math.greater(expected, half));
    return new Objective(
        labels.asOutput(),
        labelShape,
        mean(tf, positions(tf, loss, kind, values, expected)),
        loss.isClassification() ? Optional.of(share(tf, right)) : Optional.empty());
  }

  private static <T extends TNumber> Operand<T> positions(
      Ops tf, Loss loss, OutputKind kind, Operand<T> output, Operand<T> labels) {
    return switch (kind) {
      case PROBABILITIES -> loss.ofProbabilities(tf, output, labels);
      case LOGITS -> loss.ofLogits(tf, output, labels);
    };
  }

  private static <T extends TNumber> Operand<T> mean(Ops tf, Operand<T> values) {
    return tf.math.mean(values, tf.constant(0));
  }

  private static Operand<TFloat32> share(Ops tf, Operand<TBool> right) {
    return mean(tf, tf.dtypes.cast(right, TFloat32.class));
  }

  private static <T extends TNumber> Operand<T> number(Ops tf, Class<T> type, double value) {
    return tf.dtypes.cast(tf.constant(value), type);
  }

  private static <T extends TNumber> Operand<T> as(Ops tf, Class<T> type, Output<?> output) {
    // A cast to the type it has already costs nothing: TensorFlow passes the tensor on.
    return tf.dtypes.cast(output, type);
  }

  /** What goes into the operation that makes the output, if that is of the type asked for. */
  private static Optional<Output<?>> inputOf(String operationType, Output<?> output) {
    GraphOperation maker = (GraphOperation) output.op();
    while (maker.type().equals("Identity")) {
      maker = (GraphOperation) maker.input(0).op();
    }
    return maker.type().equals(operationType) ? Optional.of(maker.input(0)) : Optional.empty();
  }
}
