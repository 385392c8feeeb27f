package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.FedTraining.Start;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

class UpdateStatisticsTest {
  private static final int ROWS = 3;
  private static final int COLUMNS = 4;
  private static final double RATE = 0.4;
  private static final double WEIGHT_DECAY = 0.25;
  private static final double CLIP_THRESHOLD = 0.9;
  private static final int STEPS = 8;

  /** The paper's algorithm for one variable, in plain arithmetic. */
  private static final class Paper {
    private final double[] r = new double[ROWS];
    private final double[] c = new double[COLUMNS];
    private final double[] v = new double[COLUMNS];
    private int t;

    /** rho, beta2, rms(w), alpha, rms(u), divisor. */
    double[] step(double[] before, double[] g) {
      t++;
      double rho = Math.min(RATE, 1 / Math.sqrt(t));
      double beta2 = 1 - Math.pow(t, -0.8);
      double[] w = Arrays.stream(before).map(x -> x - x * WEIGHT_DECAY * RATE).toArray();
      double updateRms = rms(w.length == COLUMNS ? vector(beta2, g) : matrix(beta2, g));
      return new double[] {
        rho,
        beta2,
        rms(w),
        Math.max(1e-3, rms(w)) * rho,
        updateRms,
        Math.max(1, updateRms / CLIP_THRESHOLD)
      };
    }

    private double[] vector(double beta2, double[] g) {
      double[] u = new double[g.length];
      for (int i = 0; i < g.length; i++) {
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        u[i] = g[i] / Math.sqrt(v[i]);
      }
      return u;
    }

    private double[] matrix(double beta2, double[] g) {
      double[] rows = new double[ROWS];
      double[] columns = new double[COLUMNS];
      for (int i = 0; i < g.length; i++) {
        rows[i / COLUMNS] += g[i] * g[i] / COLUMNS;
        columns[i % COLUMNS] += g[i] * g[i] / ROWS;
      }
      for (int i = 0; i < ROWS; i++) {
        r[i] = beta2 * r[i] + (1 - beta2) * rows[i];
      }
      for (int i = 0; i < COLUMNS; i++) {
        c[i] = beta2 * c[i] + (1 - beta2) * columns[i];
      }
      double mean = Arrays.stream(r).average().orElseThrow();
      double[] u = new double[g.length];
      for (int i = 0; i < g.length; i++) {
        u[i] = g[i] / Math.sqrt(r[i / COLUMNS] / mean * c[i % COLUMNS]);
      }
      return u;
    }

    private static double rms(double[] x) {
      return Math.sqrt(Arrays.stream(x).map(each -> each * each).average().orElseThrow());
    }
  }

  static Stream<Arguments> combinations() {
    return Stream.of(
        Arguments.of(VariableKind.REFERENCE, Numerics.STABLE, JitCompile.OFF, TFloat32.class, 1e-5),
        Arguments.of(
            VariableKind.RESOURCE, Numerics.TF_KERAS, JitCompile.OFF, TFloat32.class, 1e-5),
        Arguments.of(
            VariableKind.RESOURCE, Numerics.STABLE, JitCompile.ALWAYS, TFloat32.class, 1e-5),
        Arguments.of(
            VariableKind.REFERENCE, Numerics.TF_KERAS, JitCompile.ALWAYS, TFloat32.class, 1e-5),
        Arguments.of(VariableKind.RESOURCE, Numerics.STABLE, JitCompile.OFF, TFloat64.class, 1e-6),
        Arguments.of(
            VariableKind.REFERENCE, Numerics.STABLE, JitCompile.OFF, TBfloat16.class, 0.01));
  }

  private static double[] normal(Random random, int size) {
    double scale = Math.exp(random.nextGaussian());
    return DoubleStream.generate(() -> (float) (scale * random.nextGaussian()))
        .limit(size)
        .toArray();
  }

  private static List<? extends Operand<? extends TNumber>> parts(UpdateStatistics<?> statistics) {
    return List.of(
        statistics.rho(),
        statistics.beta2(),
        statistics.variableRms(),
        statistics.alpha(),
        statistics.updateRms(),
        statistics.clipping());
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void areThoseOfTheStepTheyAreFetchedWith(
      VariableKind kind,
      Numerics numerics,
      JitCompile jitCompile,
      Class<? extends TNumber> type,
      double tolerance) {
    Random random = new Random(1);
    Start matrix = new Start(type, Shape.of(ROWS, COLUMNS), normal(random, ROWS * COLUMNS));
    Start vector = new Start(type, Shape.of(COLUMNS), normal(random, COLUMNS));
    List<Paper> papers = List.of(new Paper(), new Paper());
    int clipped = 0;
    try (FedTraining training =
        new FedTraining(
            kind,
            b ->
                b.learningRate(RATE)
                    .weightDecay(WEIGHT_DECAY)
                    .clipThreshold(CLIP_THRESHOLD)
                    .numerics(numerics)
                    .jitCompile(jitCompile),
            matrix,
            vector)) {
      for (int t = 0; t < STEPS; t++) {
        double[][] gradients = {normal(random, ROWS * COLUMNS), normal(random, COLUMNS)};
        double[][] before = {training.variable(0), training.variable(1)};
        double[] actual =
            training.step(
                Stream.of(0, 1).flatMap(i -> parts(training.statistics(i)).stream()).toList(),
                gradients);
        for (int i = 0; i < papers.size(); i++) {
          double[] expected = papers.get(i).step(before[i], gradients[i]);
          for (int j = 0; j < expected.length; j++) {
            assertEquals(
                expected[j], actual[i * expected.length + j], tolerance * (1 + expected[j]));
          }
          clipped += expected[expected.length - 1] > 1 ? 1 : 0;
        }
      }
    }
    assertTrue(clipped > 0 && clipped < STEPS * papers.size(), "clipped " + clipped);
  }

  @Test
  void addNothingToTheGraph() {
    try (FedTraining training =
        new FedTraining(
            VariableKind.RESOURCE, b -> b, new Start(TFloat32.class, Shape.of(2, 2), 1, 2, 3, 4))) {
      long before = training.operations();
      training.statistics(0);
      assertEquals(before, training.operations());
    }
  }

  /** Nothing else of the step needs them: they must wait for no count. */
  @RepeatedTest(20)
  void ofAVariableWithoutElementsAreFinite() {
    try (FedTraining training =
        new FedTraining(
            VariableKind.RESOURCE,
            b -> b.learningRate(RATE),
            new Start(TFloat32.class, Shape.of(0, 2)))) {
      double[] numbers = training.step(parts(training.statistics(0)), new double[0]);
      Elements.assertClose(new double[] {RATE, 0, 0, RATE, 0, 1}, numbers, 1e-6);
    }
  }

  @Test
  void needAnUpdate() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Adafactor adafactor = new Adafactor(graph);
      var w = tf.withName("kernel").variable(tf.constant(1f));
      String message =
          assertThrows(IllegalArgumentException.class, () -> adafactor.statistics(w)).getMessage();
      assertTrue(message.contains("'kernel'"), message);
    }
  }
}
