package dev.adafactor;

import dev.adafactor.FedTraining.Start;
import dev.adafactor.graph.CompiledCalls;
import dev.adafactor.graph.CompiledFunction;
import dev.adafactor.schedules.InverseTimeDecay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

/**
 * A process in which XLA writes down each program that it compiles, and which prints how many there
 * are after each run. Its environment has {@code XLA_FLAGS}, its argument is the folder named
 * there.
 */
final class CompiledTraining {

  /** The matrix whose program the test reads. */
  static final Shape MATRIX = Shape.of(160, 96);

  /** That of the argument of a function which divides it by its rms again and again. */
  static final Shape NORMALIZED = Shape.of(96, 160);

  static final int NORMALIZATIONS = 3;

  private static final int STEPS = 20;

  private static final List<Start> STARTS =
      List.of(
          start(TFloat32.class, MATRIX),
          start(TFloat32.class, MATRIX),
          start(TFloat32.class, Shape.of(96)),
          start(TFloat32.class, Shape.of(96)),
          start(TFloat32.class, Shape.of(96)),
          start(TBfloat16.class, Shape.of(96)),
          start(TFloat32.class, Shape.of(2, 8, 4)));

  /** How many of them differ in type or shape. */
  static final int KINDS = 4;

  static final int VARIABLES = STARTS.size();

  private CompiledTraining() {}

  public static void main(String[] arguments) throws IOException {
    Path dumps = Path.of(arguments[0]);
    train(
        dumps,
        VariableKind.REFERENCE,
        b ->
            b.learningRate(new InverseTimeDecay(0.1, 3, 0.5))
                .globalClipnorm(1)
                .weightDecay(0.01)
                .useEma(true)
                .emaOverwriteFrequency(3));
    train(dumps, VariableKind.RESOURCE, b -> b.learningRate(0.1).clipnorm(1));
    callWithGrowingArguments(dumps);
    normalizeAgainAndAgain();
  }

  private static Start start(Class<? extends TNumber> type, Shape shape) {
    return new Start(type, shape, normal(new Random(1), shape));
  }

  private static double[] normal(Random random, Shape shape) {
    return DoubleStream.generate(random::nextGaussian).limit(shape.size()).toArray();
  }

  /** Prints the programs that one step, and then the others, have added, and what the step says. */
  private static void train(Path dumps, VariableKind kind, UnaryOperator<Adafactor.Builder> set)
      throws IOException {
    long before = programs(dumps);
    try (FedTraining training =
        new FedTraining(
            kind, b -> set.apply(b).jitCompile(JitCompile.ALWAYS), STARTS.toArray(Start[]::new))) {
      Random random = new Random(2);
      CompiledCalls calls = training.compiledCalls(gradients(random));
      long first = programs(dumps);
      for (int step = 2; step <= STEPS; step++) {
        if (!training.adafactor().isSchedule()) {
          training.setLearningRate(0.1 / step);
        }
        training.step(gradients(random));
      }
      System.out.printf(
          "%s %d %d %d %d%n",
          kind, first - before, programs(dumps) - first, calls.calls(), calls.programs());
    }
  }

  private static double[][] gradients(Random random) {
    return STARTS.stream().map(start -> normal(random, start.shape())).toArray(double[][]::new);
  }

  /** What it looks like where XLA does compile again. */
  private static void callWithGrowingArguments(Path dumps) throws IOException {
    try (Graph graph = new Graph()) {
      Shape vector = Shape.of(Shape.UNKNOWN_SIZE);
      Operand<TFloat32> x =
          Ops.create(graph).placeholder(TFloat32.class, Placeholder.shape(vector));
      Operand<?> square = called(graph, x, (tf, argument) -> tf.math.square(argument));
      try (Session session = new Session(graph)) {
        run(session, x, square, Shape.of(1));
        long first = programs(dumps);
        for (int size = 2; size <= STEPS; size++) {
          run(session, x, square, Shape.of(size));
        }
        System.out.printf("GROWING %d%n", programs(dumps) - first);
      }
    }
  }

  /** What a program looks like that needs more passes. */
  private static void normalizeAgainAndAgain() {
    try (Graph graph = new Graph()) {
      Operand<TFloat32> x =
          Ops.create(graph).placeholder(TFloat32.class, Placeholder.shape(NORMALIZED));
      Operand<?> normalized =
          called(
              graph,
              x,
              (tf, argument) -> {
                Operand<TFloat32> result = argument;
                for (int i = 0; i < NORMALIZATIONS; i++) {
                  result = tf.math.div(result, tf.math.sqrt(tf.nn.l2Loss(result)));
                }
                return result;
              });
      try (Session session = new Session(graph)) {
        run(session, x, normalized, NORMALIZED);
      }
    }
  }

  @SuppressWarnings("unchecked") // Declared so.
  private static Operand<?> called(
      Graph graph,
      Operand<TFloat32> x,
      BiFunction<Ops, Operand<TFloat32>, Operand<TFloat32>> body) {
    return CompiledFunction.create(
            graph,
            "Function",
            List.of(new CompiledFunction.Argument(TFloat32.class, x.shape())),
            (tf, inputs) -> List.of(body.apply(tf, (Operand<TFloat32>) inputs.get(0))))
        .call(Ops.create(graph), List.of(x))
        .get(0);
  }

  private static void run(Session session, Operand<TFloat32> x, Operand<?> target, Shape shape) {
    try (TFloat32 fed = TFloat32.tensorOf(shape)) {
      session.runner().feed(x, fed).addTarget(target).run();
    }
  }

  private static long programs(Path dumps) throws IOException {
    try (Stream<Path> files = Files.list(dumps)) {
      return files.filter(HloProgram::isOptimized).count();
    }
  }
}
