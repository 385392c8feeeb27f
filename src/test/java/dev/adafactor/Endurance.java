package dev.adafactor;

import dev.adafactor.schedules.CosineDecayRestarts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/**
 * A process that trains a small model of reference and resource variables for long, and prints its
 * memory on the way. Arguments: what it does and the number of steps.
 */
final class Endurance {

  static final int SAMPLES = 10;

  private static final Shape BATCH = Shape.of(64, 256);

  /** What it does. */
  enum Course {
    /** Steps with all that tf_keras's arguments can bring. */
    TRAINING,

    /** Steps compiled by XLA. */
    COMPILED,

    /** Steps, and between them other rates, copies of the state, and going back to them. */
    ACCESS,

    /** Steps of which each forgets to close a tensor. */
    LEAK;

    private Adafactor.Builder set(Adafactor.Builder builder) {
      return switch (this) {
        case TRAINING ->
            builder
                .learningRate(new CosineDecayRestarts(0.01, 100))
                .weightDecay(0.001)
                .globalClipnorm(1)
                .useEma(true)
                .emaOverwriteFrequency(50);
        case COMPILED -> builder.useEma(true).jitCompile(JitCompile.ALWAYS);
        case ACCESS -> builder.useEma(true);
        case LEAK -> builder;
      };
    }
  }

  /**
   * The process at some step.
   *
   * @param resident bytes of physical memory
   * @param heap bytes of Java objects in use
   * @param nanos of a step, on average since the last sample
   * @param operations in the graph
   */
  record Sample(long step, long resident, long heap, long nanos, long operations) {
    static Sample parse(String line) {
      List<Long> words = Stream.of(line.split(" ")).map(Long::valueOf).toList();
      return new Sample(words.get(0), words.get(1), words.get(2), words.get(3), words.get(4));
    }

    @Override
    public String toString() {
      return "%d %d %d %d %d".formatted(step, resident, heap, nanos, operations);
    }
  }

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Course course;
  private final Adafactor adafactor;
  private final Placeholder<TFloat32> x = tf.placeholder(TFloat32.class, Placeholder.shape(BATCH));
  private final Op train;
  private final List<Tensor> forgotten = new ArrayList<>();

  private Endurance(Course course) {
    this.course = course;
    List<Output<? extends TType>> variables = new ArrayList<>();
    Operand<TFloat32> hidden = x;
    for (VariableKind kind : VariableKind.values()) {
      Operand<TFloat32> kernel = variable(kind, "kernel", Shape.of(256, 256), variables);
      Operand<TFloat32> bias = variable(kind, "bias", Shape.of(256), variables);
      hidden = tf.math.tanh(tf.math.add(tf.linalg.matMul(hidden, kernel), bias));
    }
    adafactor = course.set(Adafactor.builder(graph)).build();
    train = adafactor.minimize(tf.nn.l2Loss(tf.math.sub(hidden, x)), variables);
  }

  private Operand<TFloat32> variable(
      VariableKind kind, String name, Shape shape, List<Output<? extends TType>> variables) {
    Ops init = tf.withInitScope();
    Operand<TFloat32> initial =
        init.math.mul(
            init.random.statelessRandomNormal(
                init.constant(shape.asArray()),
                init.constant(new int[] {1, variables.size()}),
                TFloat32.class),
            init.constant(0.05f));
    Output<? extends TType> variable = kind.create(tf, kind + "/" + name, initial);
    variables.add(variable);
    return kind.read(tf, variable, TFloat32.class);
  }

  private int operations() {
    int[] count = {0};
    graph.operations().forEachRemaining(op -> count[0]++);
    return count[0];
  }

  private void step(Session session, int step) {
    TFloat32 batch = TFloat32.tensorOf(BATCH, data -> data.setFloat((float) Math.sin(step), 1, 2));
    session.runner().feed(x, batch).addTarget(train).run();
    if (course == Course.LEAK) {
      forgotten.add(batch);
    } else {
      batch.close();
    }
    if (course == Course.ACCESS) {
      adafactor.setLearningRate(session, 0.1 / step);
      adafactor.restore(session, adafactor.snapshot(session));
    }
  }

  private static long resident() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
        .sum();
  }

  private void run(int steps) throws IOException {
    try (Session session = new Session(graph)) {
      int interval = steps / SAMPLES;
      long start = System.nanoTime();
      for (int step = 1; step <= steps; step++) {
        step(session, step);
        if (step % interval == 0) {
          long nanos = (System.nanoTime() - start) / interval;
          System.gc();
          Runtime runtime = Runtime.getRuntime();
          long heap = runtime.totalMemory() - runtime.freeMemory();
          System.out.println(new Sample(step, resident(), heap, nanos, operations()));
          start = System.nanoTime();
        }
      }
    }
    forgotten.forEach(Tensor::close);
    graph.close();
  }

  public static void main(String[] arguments) throws IOException {
    new Endurance(Course.valueOf(arguments[0])).run(Integer.parseInt(arguments[1]));
  }
}
