package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.FedTraining.Start;
import dev.adafactor.schedules.PiecewiseConstantDecay;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

class UpdateRulePropertyTest {

  private static final int STEPS = 3;

  private static double[] normal(Random random, long size) {
    return DoubleStream.generate(() -> (float) random.nextGaussian()).limit(size).toArray();
  }

  private static double[][] normals(Random random, int count, long size) {
    return IntStream.range(0, count).mapToObj(i -> normal(random, size)).toArray(double[][]::new);
  }

  private static double rms(double[] x) {
    return Math.sqrt(DoubleStream.of(x).map(v -> v * v).average().orElse(0));
  }

  /** The variable after a step with each of the gradients. */
  private static double[] train(
      UnaryOperator<Adafactor.Builder> arguments, Shape shape, double[] w, double[]... gradients) {
    try (FedTraining training =
        new FedTraining(VariableKind.REFERENCE, arguments, new Start(TFloat32.class, shape, w))) {
      for (double[] gradient : gradients) {
        training.step(gradient);
      }
      return training.variable(0);
    }
  }

  /** Axes 0, 1 and 2 of elements in order 0, 2, 1. */
  private static double[] transposed(double[] x, int n, int rows, int columns) {
    double[] result = new double[x.length];
    for (int i = 0; i < n; i++) {
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          result[(i * columns + column) * rows + row] = x[(i * rows + row) * columns + column];
        }
      }
    }
    return result;
  }

  private static double[] permutedRows(double[] x, int[] order, int columns) {
    double[] result = new double[x.length];
    for (int row = 0; row < order.length; row++) {
      System.arraycopy(x, order[row] * columns, result, row * columns, columns);
    }
    return result;
  }

  private static void assertFinite(double[] x) {
    assertTrue(DoubleStream.of(x).allMatch(Double::isFinite), () -> Arrays.toString(x));
  }

  private static void assertFinite(FedTraining training) {
    assertFinite(training.variable(0));
    training.state(0).forEach(UpdateRulePropertyTest::assertFinite);
  }

  @Property(tries = 15)
  void updatesAreNoLargerThanTheClipThresholdAllows(
      @ForAll Numerics numerics,
      @ForAll @IntRange(min = 1, max = 6) int rows,
      @ForAll @IntRange(min = 1, max = 6) int columns,
      @ForAll @IntRange(min = -3, max = 3) int magnitude,
      @ForAll long seed) {
    Random random = new Random(seed);
    Shape shape = Shape.of(rows, columns);
    double scale = Math.pow(10, magnitude);
    double clipThreshold = 0.25 + random.nextDouble();
    try (FedTraining training =
        new FedTraining(
            VariableKind.REFERENCE,
            b -> b.numerics(numerics).learningRate(0.7).clipThreshold(clipThreshold),
            new Start(TFloat32.class, shape, normal(random, shape.size())))) {
      for (int t = 1; t <= STEPS; t++) {
        double[] before = training.variable(0);
        double[] gradient = normal(random, shape.size());
        training.step(Arrays.stream(gradient).map(g -> g * scale * gradient[0]).toArray());
        double[] after = training.variable(0);
        double[] update = new double[before.length];
        Arrays.setAll(update, i -> after[i] - before[i]);
        double alpha = Math.max(1e-3, rms(before)) * Math.min((float) 0.7, 1 / Math.sqrt(t));
        double rounding = Math.ulp((float) DoubleStream.of(after).map(Math::abs).max().orElse(0));
        assertTrue(
            rms(update) <= alpha * clipThreshold * (1 + 1e-5) + rounding,
            () -> rms(update) + " > " + alpha * clipThreshold);
      }
    }
  }

  @Property(tries = 12)
  void permutingRowsPermutesTheUpdate(
      @ForAll Numerics numerics,
      @ForAll @IntRange(min = 2, max = 6) int rows,
      @ForAll @IntRange(min = 1, max = 6) int columns,
      @ForAll long seed) {
    Random random = new Random(seed);
    Shape shape = Shape.of(rows, columns);
    int[] order = IntStream.range(0, rows).map(row -> (row + 1) % rows).toArray();
    double[] w = normal(random, shape.size());
    double[][] gradients = normals(random, STEPS, shape.size());
    double[][] permuted =
        Arrays.stream(gradients).map(g -> permutedRows(g, order, columns)).toArray(double[][]::new);
    Elements.assertClose(
        permutedRows(train(b -> b.numerics(numerics), shape, w, gradients), order, columns),
        train(b -> b.numerics(numerics), shape, permutedRows(w, order, columns), permuted),
        1e-6);
  }

  @Property(tries = 12)
  void transposingTheLastAxesTransposesTheUpdate(
      @ForAll Numerics numerics,
      @ForAll @IntRange(min = 0, max = 3) int n,
      @ForAll @IntRange(min = 1, max = 5) int rows,
      @ForAll @IntRange(min = 1, max = 5) int columns,
      @ForAll long seed) {
    Random random = new Random(seed);
    // 0 stands for a matrix.
    int matrices = Math.max(n, 1);
    Shape shape = n == 0 ? Shape.of(rows, columns) : Shape.of(n, rows, columns);
    Shape turned = n == 0 ? Shape.of(columns, rows) : Shape.of(n, columns, rows);
    double[] w = normal(random, shape.size());
    double[][] gradients = normals(random, STEPS, shape.size());
    double[][] turnedGradients =
        Arrays.stream(gradients)
            .map(g -> transposed(g, matrices, rows, columns))
            .toArray(double[][]::new);
    Elements.assertClose(
        transposed(train(b -> b.numerics(numerics), shape, w, gradients), matrices, rows, columns),
        train(
            b -> b.numerics(numerics),
            turned,
            transposed(w, matrices, rows, columns),
            turnedGradients),
        1e-6);
  }

  @Property(tries = 12)
  void aGradientOfZeroChangesNothing(
      @ForAll @IntRange(min = 0, max = 3) int rank, @ForAll boolean anyEpsilon, @ForAll long seed) {
    Random random = new Random(seed);
    Shape shape = Shape.of(2, 3, 4).take(rank);
    double epsilon1 = anyEpsilon ? Math.pow(10, -40 * random.nextDouble()) : 0;
    try (FedTraining training =
        new FedTraining(
            VariableKind.REFERENCE,
            b -> b.epsilon1(epsilon1),
            new Start(TFloat32.class, shape, normal(random, shape.size())))) {
      double[] zeros = new double[Math.toIntExact(shape.size())];
      double[] start = training.variable(0);
      training.step(zeros);
      assertArrayEquals(start, training.variable(0));
      training.step(normal(random, shape.size()));
      double[] moved = training.variable(0);
      training.step(zeros);
      assertArrayEquals(moved, training.variable(0));
    }
  }

  @Property(tries = 12)
  void theScaleOfTheGradientsDoesNotMatter(
      @ForAll Numerics numerics,
      @ForAll @IntRange(min = -20, max = 20) int exponent,
      @ForAll @IntRange(min = 0, max = 3) int rank,
      @ForAll long seed) {
    Random random = new Random(seed);
    Shape shape = Shape.of(2, 3, 4).take(rank);
    double[] w = normal(random, shape.size());
    double[][] gradients = normals(random, STEPS, shape.size());
    double[][] scaled =
        Arrays.stream(gradients)
            .map(g -> DoubleStream.of(g).map(x -> Math.scalb(x, exponent)).toArray())
            .toArray(double[][]::new);
    UnaryOperator<Adafactor.Builder> arguments = b -> b.numerics(numerics).epsilon1(0);
    assertArrayEquals(train(arguments, shape, w, gradients), train(arguments, shape, w, scaled));
  }

  @Property(tries = 15)
  void stableIsFiniteWhereADeadRowMeetsADeadColumn(
      @ForAll @IntRange(min = -15, max = 15) int magnitude,
      @ForAll boolean epsilon,
      @ForAll boolean compiled,
      @ForAll long seed) {
    Random random = new Random(seed);
    int rows = 4;
    int columns = 3;
    Shape shape = Shape.of(rows, columns);
    try (FedTraining training =
        new FedTraining(
            VariableKind.REFERENCE,
            b ->
                b.epsilon1(epsilon ? 1e-30 : 0)
                    .jitCompile(compiled ? JitCompile.ALWAYS : JitCompile.OFF),
            new Start(TFloat32.class, shape, normal(random, shape.size())))) {
      double[] start = training.variable(0);
      for (int t = 0; t < STEPS; t++) {
        double[] gradient = normal(random, shape.size());
        for (int i = 0; i < gradient.length; i++) {
          boolean dead = i / columns == 1 || i % columns == 2;
          gradient[i] = dead ? 0 : gradient[i] * Math.pow(10, magnitude);
        }
        training.step(gradient);
      }
      assertFinite(training);
      double[] end = training.variable(0);
      assertEquals(start[1 * columns + 2], end[1 * columns + 2]);
      assertTrue(start[0] != end[0]);
    }
  }

  private static FedTraining vector(
      Class<? extends TNumber> type, UnaryOperator<Adafactor.Builder> arguments) {
    return new FedTraining(VariableKind.REFERENCE, arguments, new Start(type, Shape.of(2), 1, -2));
  }

  @Example
  void stableTakesGradientsWhoseSquareFloat16DoesNotHold() {
    try (FedTraining training = vector(TFloat16.class, b -> b.learningRate(0.1))) {
      training.step(new double[] {300, 0});
      assertFinite(training);
      assertEquals(90000, training.slot(0, Adafactor.V)[0]);
      assertTrue(training.variable(0)[0] < 1);
      assertEquals(-2, training.variable(0)[1]);
    }
  }

  @Example
  void stableFollowsTheGradientsLateInATrainingOfBfloat16() {
    try (FedTraining training = vector(TBfloat16.class, b -> b.learningRate(0.1))) {
      training.setIterations(4999);
      training.step(new double[] {1, 1});
      assertFinite(training);
      // 1 - 5000^-0.8 is 1 in bfloat16, and v would stay 0.
      assertEquals(Math.pow(5000, -0.8), training.slot(0, Adafactor.V)[0], 1e-8);
    }
  }

  @Example
  void stableIsFiniteAfterVeryManySteps() {
    for (Class<? extends TNumber> type :
        List.<Class<? extends TNumber>>of(TFloat16.class, TBfloat16.class, TFloat32.class)) {
      try (FedTraining training = vector(type, b -> b)) {
        training.setIterations(1L << 40);
        training.step(new double[] {1, 1});
        assertFinite(training);
      }
    }
  }

  @Property(tries = 12)
  void variablesWithoutElementsDisturbNothing(
      @ForAll Numerics numerics, @ForAll VariableKind kind, @ForAll boolean compiled) {
    Start[] starts = {
      new Start(TFloat32.class, Shape.of(0)),
      new Start(TFloat32.class, Shape.of(0, 3)),
      new Start(TFloat32.class, Shape.of(3, 0)),
      new Start(TFloat32.class, Shape.of(2, 0, 3)),
      new Start(TFloat32.class, Shape.of(1), 5)
    };
    double[] none = {};
    try (FedTraining training =
        new FedTraining(
            kind,
            b ->
                b.numerics(numerics)
                    .globalClipnorm(1)
                    .weightDecay(0.1)
                    .useEma(true)
                    .jitCompile(compiled ? JitCompile.ALWAYS : JitCompile.OFF),
            starts)) {
      training.step(none, none, none, none, new double[] {1});
      training.step(none, none, none, none, new double[] {1});
      assertFinite(training.variable(4));
      assertTrue(training.variable(4)[0] < 5);
      if (numerics == Numerics.STABLE) {
        for (int i = 0; i < starts.length; i++) {
          training.state(i).forEach(UpdateRulePropertyTest::assertFinite);
        }
      }
    }
  }

  /** TensorFlow moves what makes a number narrower to where it is read: the rate is that before. */
  @Example
  void theRateOfAStepIsItsOwnForNarrowVariablesToo() {
    UnaryOperator<Adafactor.Builder> arguments =
        builder ->
            builder
                .learningRate(new PiecewiseConstantDecay(List.of(0.0), List.of(0.5, 0.0)))
                .weightDecay(0.5);
    for (int repetition = 0; repetition < 5; repetition++) {
      try (FedTraining training =
          new FedTraining(
              VariableKind.REFERENCE,
              arguments,
              new Start(TFloat16.class, Shape.of(2), 3, 4),
              new Start(TBfloat16.class, Shape.of(2), 3, 4))) {
        training.step(new double[] {1, 1}, new double[] {1, 1});
        double[][] after = {training.variable(0), training.variable(1)};
        training.step(new double[] {1, 1}, new double[] {1, 1});
        assertArrayEquals(after[0], training.variable(0));
        assertArrayEquals(after[1], training.variable(1));
        assertTrue(after[0][0] < 3);
      }
    }
  }
}
