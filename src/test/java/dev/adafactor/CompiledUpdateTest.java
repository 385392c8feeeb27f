package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.adafactor.FedTraining.Start;
import dev.adafactor.graph.Devices;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

class CompiledUpdateTest {

  private static final int STEPS = 3;

  private static final List<Shape> SHAPES =
      List.of(Shape.scalar(), Shape.of(5), Shape.of(4, 3), Shape.of(2, 3, 4), Shape.of(2, 1, 3, 2));

  private static double[] normal(Random random, Shape shape) {
    return DoubleStream.generate(random::nextGaussian)
        .limit(shape.size())
        .map(x -> (float) x)
        .toArray();
  }

  private static FedTraining training(
      VariableKind kind, Numerics numerics, JitCompile jitCompile, Class<? extends TNumber> type) {
    Random random = new Random(1);
    return new FedTraining(
        kind,
        b ->
            b.learningRate(0.1)
                .numerics(numerics)
                .weightDecay(0.01)
                .useEma(true)
                .jitCompile(jitCompile),
        SHAPES.stream()
            .map(shape -> new Start(type, shape, normal(random, shape)))
            .toArray(Start[]::new));
  }

  private static double[][] gradients(Random random) {
    return SHAPES.stream().map(shape -> normal(random, shape)).toArray(double[][]::new);
  }

  /** The types of the operations that a step runs, of which only the update has any. */
  private static List<String> operations(VariableKind kind, JitCompile jitCompile) {
    try (FedTraining training = training(kind, Numerics.STABLE, jitCompile, TFloat32.class)) {
      Random random = new Random(2);
      training.step(gradients(random));
      return training.stepStats(gradients(random)).stream()
          .map(NodeExecStats::getTimelineLabel)
          .map(label -> label.replaceFirst("^.* = ", "").replaceFirst("\\(.*$", ""))
          .toList();
    }
  }

  private static long count(List<String> operations, String... types) {
    return operations.stream().filter(List.of(types)::contains).count();
  }

  @ParameterizedTest
  @EnumSource
  void isOneProgramForEachVariable(VariableKind kind) {
    List<String> operations = operations(kind, JitCompile.ALWAYS);
    assertEquals(SHAPES.size(), count(operations, "PartitionedCall"));
    // What the programs consist of does not run as operations.
    assertEquals(0, count(operations, "L2Loss", "Square", "Sqrt", "Mean"));
  }

  @ParameterizedTest
  @CsvSource({"REFERENCE, OFF", "REFERENCE, WHERE_GPU", "RESOURCE, OFF", "RESOURCE, WHERE_GPU"})
  void isOperationsWhereNothingIsCompiled(VariableKind kind, JitCompile jitCompile) {
    assumeFalse(jitCompile == JitCompile.WHERE_GPU && Devices.hasGpu());
    List<String> operations = operations(kind, jitCompile);
    assertEquals(0, count(operations, "PartitionedCall"));
    // rms(w) and rms(u)
    assertEquals(2L * SHAPES.size(), count(operations, "L2Loss"));
  }

  private static double epsilon(Class<? extends TNumber> type) {
    if (type == TFloat64.class) {
      return Math.ulp(1.0);
    }
    if (type == TFloat32.class) {
      return Math.ulp(1f);
    }
    return type == TFloat16.class ? 1.0 / 1024 : 1.0 / 128;
  }

  // Not every combination: each costs a compilation for each shape.
  static Stream<Arguments> combinations() {
    return Stream.of(
        Arguments.of(VariableKind.REFERENCE, Numerics.STABLE, TFloat16.class),
        Arguments.of(VariableKind.RESOURCE, Numerics.STABLE, TBfloat16.class),
        Arguments.of(VariableKind.REFERENCE, Numerics.STABLE, TFloat32.class),
        Arguments.of(VariableKind.RESOURCE, Numerics.STABLE, TFloat64.class),
        Arguments.of(VariableKind.RESOURCE, Numerics.TF_KERAS, TFloat32.class));
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void agreesWithTheOperations(
      VariableKind kind, Numerics numerics, Class<? extends TNumber> type) {
    double tolerance = 8 * STEPS * epsilon(type);
    try (FedTraining compiled = training(kind, numerics, JitCompile.ALWAYS, type);
        FedTraining plain = training(kind, numerics, JitCompile.OFF, type)) {
      Random random = new Random(3);
      for (int t = 0; t < STEPS; t++) {
        double[][] gradients = gradients(random);
        compiled.step(gradients);
        plain.step(gradients);
      }
      for (int i = 0; i < SHAPES.size(); i++) {
        List<double[]> expected = all(plain, i);
        List<double[]> actual = all(compiled, i);
        IntStream.range(0, expected.size())
            .forEach(j -> Elements.assertClose(expected.get(j), actual.get(j), tolerance));
      }
    }
  }

  /** A variable with all its state. */
  private static List<double[]> all(FedTraining training, int i) {
    List<double[]> all = new ArrayList<>(training.state(i).toList());
    all.add(training.variable(i));
    all.add(training.slot(i, Adafactor.AVERAGE));
    return all;
  }
}
