package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.Objective.OutputKind;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.BinaryOperator;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt64;

/** Losses beside the same in plain Java, gradients beside central differences of that. */
class ObjectiveTest {
  private static final Shape TWO_BY_THREE = Shape.of(2, 3);
  private static final double[] LOGITS = {0.5, -1, 2, 0.1, 0, -0.3};
  private static final double[] PROBABILITIES = {0.2, 0.3, 0.5, 0.6, 0.1, 0.3};
  private static final double[] ONE_HOT = {0, 0, 1, 1, 0, 0};
  private static final double[] BINARY = {1, 0, 1, 1, 0.5, 0};

  private record Outcome(double loss, OptionalDouble accuracy, List<Double> gradient) {}

  /** What turns the placeholder that the gradient is taken of into the model's output. */
  private interface Model {
    Operand<TFloat64> output(Ops tf, Operand<TFloat64> input);
  }

  private static Outcome outcome(
      Loss loss, OutputKind kind, Model model, double[] input, Tensor labels) {
    try (Graph graph = new Graph();
        Session session = new Session(graph);
        TFloat64 fed = TFloat64.tensorOf(TWO_BY_THREE, DataBuffers.of(input))) {
      Ops tf = Ops.create(graph);
      Placeholder<TFloat64> placeholder =
          tf.placeholder(TFloat64.class, Placeholder.shape(Shape.of(-1, 3)));
      Output<?> output = model.output(tf, placeholder).asOutput();
      Objective objective = Objective.of(tf, loss, kind, "out", output, Weighting.NONE, List.of());
      Output<?>[] gradient =
          graph.addGradients(objective.loss().asOutput(), new Output<?>[] {placeholder.asOutput()});
      Session.Runner runner = session.runner().feed(placeholder, fed);
      runner.feed(objective.labels(), labels).fetch(objective.loss()).fetch(gradient[0]);
      objective.accuracy().ifPresent(runner::fetch);
      try (Result result = runner.run()) {
        double[] slopes = new double[input.length];
        ((TFloat64) result.get(1)).copyTo(DataBuffers.of(slopes, false, false));
        return new Outcome(
            ((TFloat64) result.get(0)).getDouble(),
            objective.accuracy().stream()
                .mapToDouble(accuracy -> ((TFloat32) result.get(2)).getFloat())
                .findFirst(),
            Arrays.stream(slopes).boxed().toList());
      }
    }
  }

  private static Outcome ofClasses(Loss loss, OutputKind kind, double[] input, long... classes) {
    try (Tensor labels = TInt64.vectorOf(classes)) {
      return outcome(loss, kind, (tf, output) -> output, input, labels);
    }
  }

  private static Outcome ofNumbers(Loss loss, OutputKind kind, double[] input, double[] numbers) {
    try (Tensor labels = TFloat64.tensorOf(TWO_BY_THREE, DataBuffers.of(numbers))) {
      return outcome(loss, kind, (tf, output) -> output, input, labels);
    }
  }

  private static void assertLoss(ToDoubleFunction<double[]> expected, double[] at, Outcome actual) {
    assertEquals(expected.applyAsDouble(at), actual.loss(), 1e-9);
    double step = 1e-5;
    for (int i = 0; i < at.length; i++) {
      double[] above = at.clone();
      double[] below = at.clone();
      above[i] += step;
      below[i] -= step;
      double slope = (expected.applyAsDouble(above) - expected.applyAsDouble(below)) / (2 * step);
      assertEquals(slope, actual.gradient().get(i), 1e-6, "gradient of element " + i);
    }
  }

  /** The mean over the rows of the crossentropy of softmaxes. */
  private static double softmaxCrossentropy(double[] logits, double[] labels) {
    double sum = 0;
    for (int i = 0; i < 6; i++) {
      int row = i / 3 * 3;
      double all = Arrays.stream(logits, row, row + 3).map(Math::exp).sum();
      sum -= labels[i] * (logits[i] - Math.log(all));
    }
    return sum / 2;
  }

  private static ToDoubleFunction<double[]> mean(
      double[] labels, BinaryOperator<Double> lossOfOutputAndLabel) {
    return output -> {
      double sum = 0;
      for (int i = 0; i < output.length; i++) {
        sum += lossOfOutputAndLabel.apply(output[i], labels[i]);
      }
      return sum / output.length;
    };
  }

  private static double[] logs(double[] values) {
    return Arrays.stream(values).map(Math::log).toArray();
  }

  @Test
  void sparseCategoricalCrossentropyOfLogits() {
    Outcome outcome =
        ofClasses(Loss.SPARSE_CATEGORICAL_CROSSENTROPY, OutputKind.LOGITS, LOGITS, 2, 1);
    double[] labels = {0, 0, 1, 0, 1, 0};
    assertLoss(x -> softmaxCrossentropy(x, labels), LOGITS, outcome);
    assertEquals(OptionalDouble.of(0.5), outcome.accuracy());
  }

  @Test
  void sparseCategoricalCrossentropyOfProbabilities() {
    Outcome outcome =
        ofClasses(
            Loss.SPARSE_CATEGORICAL_CROSSENTROPY, OutputKind.PROBABILITIES, PROBABILITIES, 2, 0);
    assertLoss(p -> softmaxCrossentropy(logs(p), ONE_HOT), PROBABILITIES, outcome);
    assertEquals(OptionalDouble.of(1), outcome.accuracy());
  }

  @Test
  void categoricalCrossentropyOfLogits() {
    Outcome outcome = ofNumbers(Loss.CATEGORICAL_CROSSENTROPY, OutputKind.LOGITS, LOGITS, ONE_HOT);
    assertLoss(x -> softmaxCrossentropy(x, ONE_HOT), LOGITS, outcome);
    assertEquals(OptionalDouble.of(1), outcome.accuracy());
  }

  @Test
  void categoricalCrossentropyOfProbabilities() {
    double[] labels = {0, 0.25, 0.75, 1, 0, 0};
    Outcome outcome =
        ofNumbers(Loss.CATEGORICAL_CROSSENTROPY, OutputKind.PROBABILITIES, PROBABILITIES, labels);
    assertLoss(p -> softmaxCrossentropy(logs(p), labels), PROBABILITIES, outcome);
  }

  @Test
  void binaryCrossentropyOfLogits() {
    Outcome outcome = ofNumbers(Loss.BINARY_CROSSENTROPY, OutputKind.LOGITS, LOGITS, BINARY);
    assertLoss(mean(BINARY, (x, y) -> Math.log1p(Math.exp(x)) - x * y), LOGITS, outcome);
    assertEquals(OptionalDouble.of(1), outcome.accuracy());
  }

  @Test
  void binaryCrossentropyOfProbabilities() {
    Outcome outcome =
        ofNumbers(Loss.BINARY_CROSSENTROPY, OutputKind.PROBABILITIES, PROBABILITIES, BINARY);
    assertLoss(
        mean(BINARY, (p, y) -> -y * Math.log(p + 1e-7) - (1 - y) * Math.log(1 - p + 1e-7)),
        PROBABILITIES,
        outcome);
    assertEquals(4 / 6f, outcome.accuracy().orElseThrow());
  }

  @Test
  void meanSquaredErrorHasNoAccuracy() {
    double[] labels = {1, 2, 3, 4, 5, 6};
    Outcome outcome = ofNumbers(Loss.MEAN_SQUARED_ERROR, OutputKind.PROBABILITIES, LOGITS, labels);
    assertLoss(mean(labels, (x, y) -> (x - y) * (x - y)), LOGITS, outcome);
    assertTrue(outcome.accuracy().isEmpty());
  }

  @Test
  void certaintyGivesAFiniteLossAndNoGradient() {
    double[] certain = {1, 0, 0, 0, 1, 0};
    double[] wrong = {0, 1, 0, 1, 0, 1};
    Outcome outcome = ofNumbers(Loss.BINARY_CROSSENTROPY, OutputKind.PROBABILITIES, certain, wrong);
    assertEquals(-5 / 6.0 * Math.log(2e-7), outcome.loss(), 1e-6);
    assertEquals(Collections.nCopies(6, 0.0), outcome.gradient());
  }

  @Test
  void takesTheLogitsBehindASoftmaxAsTfKerasDoes() {
    double[] extreme = {0, 50, 0, 0, 0, 0};
    try (Tensor classes = TInt64.vectorOf(0, 1)) {
      Outcome outcome =
          outcome(
              Loss.SPARSE_CATEGORICAL_CROSSENTROPY,
              OutputKind.PROBABILITIES,
              (tf, input) -> tf.identity(tf.nn.softmax(input)),
              extreme,
              classes);
      double[] labels = {1, 0, 0, 0, 1, 0};
      assertLoss(x -> softmaxCrossentropy(x, labels), extreme, outcome);
    }
  }

  @Test
  void computesInFloat32WhereTheModelIsInHalfPrecision() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Output<?> output =
          tf.placeholder(TBfloat16.class, Placeholder.shape(Shape.of(-1, 3))).asOutput();
      Objective objective =
          Objective.of(
              tf,
              Loss.SPARSE_CATEGORICAL_CROSSENTROPY,
              OutputKind.LOGITS,
              "out",
              output,
              Weighting.NONE,
              List.of());
      assertEquals(TFloat32.class, objective.loss().type());
      assertArrayEquals(new long[] {-1}, objective.labelShape().asArray());
    }
  }

  @Test
  void refusesOutputsThatNoLossCanBeTakenOf() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Output<?> integers =
          tf.placeholder(TInt64.class, Placeholder.shape(Shape.of(-1, 3))).asOutput();
      Output<?> unknown =
          tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(-1, -1))).asOutput();
      assertEquals(
          "output 'scores' holds int64; a loss is taken of floats",
          refusal(tf, Loss.MEAN_SQUARED_ERROR, integers));
      String message = refusal(tf, Loss.SPARSE_CATEGORICAL_CROSSENTROPY, unknown);
      assertTrue(
          message.contains("scores") && message.contains("whose last dimension is known"), message);
    }
  }

  private static String refusal(Ops tf, Loss loss, Output<?> output) {
    return assertThrows(
            IllegalArgumentException.class,
            () ->
                Objective.of(
                    tf, loss, OutputKind.LOGITS, "scores", output, Weighting.NONE, List.of()))
        .getMessage();
  }
}
