package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.FedTraining.Start;
import dev.adafactor.schedules.CosineDecay;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

class SnapshotTest {
  private static final List<Class<? extends TNumber>> TYPES =
      List.of(TFloat16.class, TBfloat16.class, TFloat32.class, TFloat64.class);
  private static final List<Shape> SHAPES =
      List.of(
          Shape.scalar(),
          Shape.of(3),
          Shape.of(0),
          Shape.of(2, 3),
          Shape.of(2, 2, 3),
          Shape.of(2, 1, 3, 2));

  private static double[] normal(Random random, Shape shape) {
    return DoubleStream.generate(random::nextGaussian).limit(shape.size()).toArray();
  }

  private static double[][] gradients(Random random, Start[] starts) {
    return Arrays.stream(starts)
        .map(start -> normal(random, start.shape()))
        .toArray(double[][]::new);
  }

  /** All shapes, each in one of the types. */
  private static Start[] starts(Random random) {
    return SHAPES.stream()
        .map(
            shape ->
                new Start(TYPES.get(random.nextInt(TYPES.size())), shape, normal(random, shape)))
        .toArray(Start[]::new);
  }

  @Property(tries = 40)
  void whatGoesOnFromItEndsWithTheSameBits(
      @ForAll long seed,
      @ForAll @IntRange(max = 3) int before,
      @ForAll VariableKind from,
      @ForAll VariableKind to,
      @ForAll Numerics numerics,
      @ForAll boolean averages,
      @ForAll boolean scheduled) {
    UnaryOperator<Adafactor.Builder> arguments =
        builder ->
            (scheduled ? builder.learningRate(new CosineDecay(0.3, 5)) : builder.learningRate(0.2))
                .numerics(numerics)
                .useEma(averages)
                .emaOverwriteFrequency(3)
                .weightDecay(0.01);
    Random random = new Random(seed);
    Start[] starts = starts(random);
    Start[] others = starts(new Random(seed));
    List<double[][]> all = IntStream.range(0, 5).mapToObj(i -> gradients(random, starts)).toList();
    try (FedTraining one = new FedTraining(from, arguments, starts);
        FedTraining two = new FedTraining(to, arguments, others)) {
      two.step(gradients(random, others));
      all.subList(0, before).forEach(one::step);
      Snapshot taken = one.snapshot();
      two.restore(taken);
      assertEquals(taken, two.snapshot());
      assertEquals(before, taken.iterations());
      for (double[][] each : all.subList(before, 5)) {
        one.step(each);
        two.step(each);
        assertEquals(one.snapshot(), two.snapshot());
      }
      assertNotEquals(taken, one.snapshot());
    }
  }

  private static FedTraining training(UnaryOperator<Adafactor.Builder> arguments, Start... starts) {
    return new FedTraining(VariableKind.RESOURCE, arguments, starts);
  }

  private static final Start MATRIX = new Start(TFloat32.class, Shape.of(2, 2), 1, 2, 3, 4);
  private static final Start VECTOR = new Start(TFloat16.class, Shape.of(2), 1, 2);

  @Test
  void tellsTypesShapesAndValues() {
    try (FedTraining training = training(b -> b.learningRate(0.5), MATRIX, VECTOR)) {
      Snapshot snapshot = training.snapshot();
      assertEquals(0.5f, snapshot.learningRate());
      Snapshot.OfVariable matrix = snapshot.variable("w0").orElseThrow();
      assertEquals(DataType.DT_FLOAT, matrix.value().dtype());
      assertEquals(Shape.of(2, 2), matrix.value().shape());
      assertEquals(4f, matrix.value().bytes().asFloatBuffer().get(3));
      try (TNumber tensor = matrix.value().tensor()) {
        assertEquals(3f, ((TFloat32) tensor).getFloat(1, 0));
        assertEquals(matrix.value(), TensorValue.copyOf(tensor));
      }
      assertEquals(List.of(Adafactor.R, Adafactor.C), List.copyOf(matrix.slots().keySet()));
      assertEquals(
          "float[2]", snapshot.variable("w1").orElseThrow().slots().get(Adafactor.V).toString());
      assertEquals(Optional.empty(), snapshot.variable("w2"));
      Snapshot renamed = snapshot.renamed(name -> "model/" + name);
      assertEquals(matrix.value(), renamed.variable("model/w0").orElseThrow().value());
      assertEquals(
          "two variables are named 'w': a snapshot tells them by their names",
          assertThrows(IllegalArgumentException.class, () -> snapshot.renamed(name -> "w"))
              .getMessage());
    }
  }

  /** The number is that which toJson() tells, too. */
  @Test
  void bringsTheRate() {
    try (FedTraining one = training(b -> b.learningRate(0.5), MATRIX);
        FedTraining two = training(b -> b.learningRate(0.25), MATRIX)) {
      two.restore(one.snapshot());
      assertEquals(
          "snapshot",
          assertThrows(NullPointerException.class, () -> two.restore(null)).getMessage());
      assertTrue(two.adafactor().toJson().contains("\"learning_rate\":0.5"));
    }
  }

  private static void assertRefused(String part, Snapshot snapshot, FedTraining into) {
    Snapshot before = into.snapshot();
    String message =
        assertThrows(IllegalArgumentException.class, () -> into.restore(snapshot)).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(before, into.snapshot());
  }

  @Test
  void refusesWhatIsOfAnotherOptimizer() {
    try (FedTraining wanted = training(b -> b, MATRIX, VECTOR);
        FedTraining fewer = training(b -> b, MATRIX);
        FedTraining shaped =
            training(b -> b, MATRIX, new Start(TFloat16.class, Shape.of(3), 1, 2, 3));
        FedTraining averaged = training(b -> b.useEma(true), MATRIX, VECTOR);
        FedTraining scheduled =
            training(b -> b.learningRate(new CosineDecay(1, 2)), MATRIX, VECTOR);
        FedTraining narrow = training(b -> b.numerics(Numerics.TF_KERAS), MATRIX, VECTOR)) {
      assertRefused("it has no variable 'w1'", fewer.snapshot(), wanted);
      assertRefused("it has 'w1' besides", wanted.snapshot(), fewer);
      assertRefused("its value of 'w1' is half[3], here it is half[2]", shaped.snapshot(), wanted);
      assertRefused("it has the average of 'w0' besides", averaged.snapshot(), wanted);
      assertRefused("it has no average of 'w0'", wanted.snapshot(), averaged);
      assertRefused(
          "its learning rate is a schedule's, here it is a number", scheduled.snapshot(), wanted);
      assertRefused("its v of 'w1' is half[2], here it is float[2]", narrow.snapshot(), wanted);
    }
  }
}
