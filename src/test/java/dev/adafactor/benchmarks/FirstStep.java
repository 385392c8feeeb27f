package dev.adafactor.benchmarks;

import dev.adafactor.Adafactor;
import dev.adafactor.SessionConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;

/**
 * How long the first step takes, in which TensorFlow optimizes the graph, and those after it: with
 * the default configuration of a session and with {@link SessionConfig#forTraining}.
 */
final class FirstStep {
  private static final int TURNS = 3;
  private static final int LATER_STEPS = 30;

  private FirstStep() {}

  public static void main(String[] arguments) {
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
    measure(ConfigProto.getDefaultInstance(), tf -> variables(tf, 10, false)); // warms the JVM up
    System.out.printf(
        "%-40s %30s %30s%n", "milliseconds (median of 3)", "default", "SessionConfig.forTraining");
    for (int count : new int[] {10, 300, 1_000}) {
      print("%,d variables of 32x32".formatted(count), tf -> variables(tf, count, false));
    }
    for (int count : new int[] {10, 300, 1_000}) {
      print("%,d variables of 32x33, 32x34, …".formatted(count), tf -> variables(tf, count, true));
    }
    print("dense network 64-128-128-10", FirstStep::network);
  }

  private static void print(String name, Function<Ops, Operand<TFloat32>> model) {
    List<Times> standard = new ArrayList<>();
    List<Times> training = new ArrayList<>();
    for (int turn = 0; turn < TURNS; turn++) {
      standard.add(measure(ConfigProto.getDefaultInstance(), model));
      training.add(measure(SessionConfig.forTraining(), model));
    }
    System.out.printf("%-40s %30s %30s%n", name, text(standard), text(training));
  }

  private static String text(List<Times> turns) {
    return "first %,.0f, later %.2f"
        .formatted(
            median(turns.stream().mapToDouble(Times::first).toArray()),
            median(turns.stream().mapToDouble(Times::later).toArray()));
  }

  private static double median(double... numbers) {
    Arrays.sort(numbers);
    return numbers[numbers.length / 2];
  }

  private record Times(double first, double later) {}

  private static Times measure(ConfigProto config, Function<Ops, Operand<TFloat32>> model) {
    try (Graph graph = new Graph()) {
      Op train = new Adafactor(graph).minimize(model.apply(Ops.create(graph)));
      try (Session session = new Session(graph, config)) {
        session.initialize();
        double first = step(session, train);
        double[] later = new double[LATER_STEPS];
        Arrays.setAll(later, i -> step(session, train));
        return new Times(first, median(later));
      }
    }
  }

  private static double step(Session session, Op train) {
    long start = System.nanoTime();
    session.runner().addTarget(train).run().close();
    return (System.nanoTime() - start) / 1e6;
  }

  private static Operand<TFloat32> variables(Ops tf, int count, boolean different) {
    List<Operand<TFloat32>> losses = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      losses.add(tf.nn.l2Loss(variable(tf, i, Shape.of(32, different ? 33 + i : 32))));
    }
    return tf.math.addN(losses);
  }

  private static Operand<TFloat32> network(Ops tf) {
    Operand<TFloat32> x = random(tf, 0, Shape.of(32, 64));
    int[] widths = {64, 128, 128, 10};
    for (int i = 1; i < widths.length; i++) {
      Operand<TFloat32> kernel = variable(tf, i, Shape.of(widths[i - 1], widths[i]));
      Operand<TFloat32> bias = variable(tf, 10 + i, Shape.of(widths[i]));
      x = tf.math.tanh(tf.nn.biasAdd(tf.linalg.matMul(x, kernel), bias));
    }
    return tf.nn.l2Loss(tf.math.sub(x, random(tf, 20, Shape.of(32, 10))));
  }

  private static Variable<TFloat32> variable(Ops tf, int seed, Shape shape) {
    Ops init = tf.withInitScope();
    Variable<TFloat32> variable = init.variable(shape, TFloat32.class);
    init.assign(variable, random(init, seed, shape));
    return variable;
  }

  private static Operand<TFloat32> random(Ops tf, int seed, Shape shape) {
    return tf.random.statelessRandomNormal(
        tf.constant(shape.asArray()), tf.constant(new long[] {seed, 1}), TFloat32.class);
  }
}
