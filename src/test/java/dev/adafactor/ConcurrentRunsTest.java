package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

/**
 * What {@link Adafactor} says about threads, and that it would not hold without the rules there.
 */
class ConcurrentRunsTest {

  private static final int THREADS = 64;
  private static final int TRAINERS = 8;
  private static final int STEPS = 12;
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  /** A variable whose elements are equal after every step, unless they are of different steps. */
  private static final class Training implements AutoCloseable {
    private final Graph graph = new Graph();
    private final Adafactor adafactor;
    private final Op train;
    private final Operand<TFloat32> least;
    private final Operand<TFloat32> most;
    private final Session session;

    Training(VariableKind kind, JitCompile jitCompile, long... shape) {
      Ops tf = Ops.create(graph);
      Ops init = tf.withInitScope();
      Output<? extends TType> variable =
          kind.create(tf, "w", init.fill(init.constant(shape), init.constant(1f)));
      Operand<TFloat32> value = kind.read(tf, variable, TFloat32.class);
      Operand<TInt32> axes = tf.constant(IntStream.range(0, shape.length).toArray());
      least = tf.min(value, axes);
      most = tf.max(value, axes);
      adafactor =
          Adafactor.builder(graph)
              .learningRate(0.01)
              .useEma(true)
              .jitCompile(jitCompile)
              .transientBytes(1 << 20)
              .build();
      train =
          adafactor.applyGradients(
              List.of(pair(tf.fill(tf.constant(shape), tf.constant(0.1f)), variable)), "train");
      // One thread for each operation, that sums have the same bits each time; several operations.
      session =
          new Session(
              graph,
              true,
              ConfigProto.newBuilder()
                  .setIntraOpParallelismThreads(1)
                  .setInterOpParallelismThreads(4)
                  .build());
    }

    @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
    private static GradAndVar<? extends TType> pair(
        Operand<TFloat32> gradient, Output<?> variable) {
      return new GradAndVar<>(gradient.asOutput(), (Output<TFloat32>) variable);
    }

    void step() {
      session.run(train);
    }

    /** A step by the rule. */
    void lockedStep() {
      synchronized (session) {
        step();
      }
    }

    /** The least and the largest element of what inference reads. */
    float[] infer() {
      try (Result result = session.runner().fetch(least).fetch(most).run()) {
        return new float[] {
          ((TFloat32) result.get(0)).getFloat(), ((TFloat32) result.get(1)).getFloat()
        };
      }
    }

    Snapshot snapshot() {
      return adafactor.snapshot(session);
    }

    @Override
    public void close() {
      session.close();
      graph.close();
    }
  }

  /** The values of the variable after 0, 1, 2, … steps, none beside another. */
  private static List<Float> alone(VariableKind kind, JitCompile jitCompile, int size, int steps) {
    List<Float> values = new ArrayList<>();
    try (Training training = new Training(kind, jitCompile, size)) {
      values.add(training.infer()[0]);
      for (int step = 0; step < steps; step++) {
        training.step();
        values.add(training.infer()[0]);
      }
    }
    return values;
  }

  /** Runs tasks, one thread for each, to their end. */
  private static void together(List<Runnable> tasks) throws InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
    try {
      List<Future<?>> running = new ArrayList<>();
      tasks.forEach(task -> running.add(threads.submit(task)));
      for (Future<?> task : running) {
        task.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError(e);
    } finally {
      threads.shutdown();
    }
  }

  private static Runnable repeated(int times, Runnable task) {
    return () -> {
      for (int i = 0; i < times; i++) {
        task.run();
      }
    };
  }

  private static Runnable during(AtomicInteger trainers, Runnable task) {
    return () -> {
      do {
        task.run();
      } while (trainers.get() > 0);
    };
  }

  /** Trains in some threads, and does something else in the others until they have ended. */
  private static void trainBeside(Training training, Runnable other) throws InterruptedException {
    AtomicInteger trainers = new AtomicInteger(TRAINERS);
    List<Runnable> tasks = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      tasks.add(
          i < TRAINERS
              ? () -> {
                repeated(STEPS, training::lockedStep).run();
                trainers.decrementAndGet();
              }
              : during(trainers, other));
    }
    together(tasks);
  }

  @ParameterizedTest
  @CsvSource({"OFF", "ALWAYS"})
  void inferenceReadsResourceVariablesOfWholeSteps(JitCompile jitCompile)
      throws InterruptedException {
    int size = 200_000;
    List<Float> expected = alone(VariableKind.RESOURCE, jitCompile, size, TRAINERS * STEPS);
    try (Training training = new Training(VariableKind.RESOURCE, jitCompile, size)) {
      AtomicInteger distinct = new AtomicInteger();
      Map<Float, Integer> steps = new HashMap<>();
      expected.forEach(value -> steps.put(value, distinct.getAndIncrement()));
      trainBeside(
          training,
          () -> {
            float[] read = training.infer();
            assertEquals(read[0], read[1]);
            assertTrue(steps.containsKey(read[0]), read[0] + " is no step's");
          });
      assertEquals(expected.get(TRAINERS * STEPS), training.infer()[0]);
      assertEquals(TRAINERS * STEPS, training.snapshot().iterations());
    }
  }

  /** Why the rule for reference variables is another one. */
  @Test
  void inferenceMayReadReferenceVariablesInTheMidstOfTheirUpdate() throws InterruptedException {
    try (Training training = new Training(VariableKind.REFERENCE, JitCompile.OFF, 1_000_000)) {
      assertReadInTheMidst(training);
    }
  }

  /** Why it is that for large matrices, too. */
  @Test
  void inferenceMayReadMatricesBetweenTheirBlocks() throws InterruptedException {
    try (Training training = new Training(VariableKind.RESOURCE, JitCompile.OFF, 1024, 1024)) {
      assertReadInTheMidst(training);
    }
  }

  private static void assertReadInTheMidst(Training training) throws InterruptedException {
    AtomicInteger torn = new AtomicInteger();
    BooleanSupplier again = patience(() -> torn.get() == 0);
    while (again.getAsBoolean()) {
      trainBeside(
          training,
          () -> {
            float[] read = training.infer();
            if (read[0] != read[1]) {
              torn.incrementAndGet();
            }
          });
    }
    assertTrue(torn.get() > 0);
    float[] afterwards = training.infer();
    assertEquals(afterwards[0], afterwards[1]);
  }

  @ParameterizedTest
  @EnumSource
  void noStepIsLostUnderTheLock(VariableKind kind) throws InterruptedException {
    int size = 1_000;
    List<Float> expected = alone(kind, JitCompile.OFF, size, TRAINERS * STEPS);
    try (Training training = new Training(kind, JitCompile.OFF, size)) {
      List<Runnable> tasks = new ArrayList<>();
      for (int i = 0; i < TRAINERS; i++) {
        tasks.add(repeated(STEPS, training::lockedStep));
      }
      together(tasks);
      assertEquals(TRAINERS * STEPS, training.snapshot().iterations());
      assertEquals(expected.get(TRAINERS * STEPS), training.infer()[0]);
    }
  }

  /** What the lock is for. */
  @ParameterizedTest
  @EnumSource
  void stepsOverwriteEachOtherWithoutTheLock(VariableKind kind) throws InterruptedException {
    int size = 1_000;
    List<Float> expected = alone(kind, JitCompile.OFF, size, TRAINERS * STEPS);
    boolean[] equal = {true};
    BooleanSupplier again = patience(() -> equal[0]);
    while (again.getAsBoolean()) {
      try (Training training = new Training(kind, JitCompile.OFF, size)) {
        List<Runnable> tasks = new ArrayList<>();
        for (int i = 0; i < TRAINERS; i++) {
          tasks.add(repeated(STEPS, training::step));
        }
        together(tasks);
        equal[0] = expected.get(TRAINERS * STEPS) == training.infer()[0];
      }
    }
    assertTrue(!equal[0]);
  }

  @ParameterizedTest
  @EnumSource
  void snapshotsAreOfWholeStepsAndRatesAreSetBetweenThem(VariableKind kind)
      throws InterruptedException {
    int size = 1_000;
    List<Snapshot> expected = new ArrayList<>();
    try (Training training = new Training(kind, JitCompile.OFF, size)) {
      expected.add(training.snapshot());
      for (int step = 0; step < TRAINERS * STEPS; step++) {
        training.step();
        expected.add(training.snapshot());
      }
    }
    try (Training training = new Training(kind, JitCompile.OFF, size)) {
      trainBeside(
          training,
          () -> {
            training.adafactor.setLearningRate(training.session, 0.01);
            Snapshot taken = training.snapshot();
            assertEquals(expected.get((int) taken.iterations()), taken);
          });
      assertEquals(expected.get(TRAINERS * STEPS), training.snapshot());
    }
  }

  private static BooleanSupplier patience(BooleanSupplier condition) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    return () -> condition.getAsBoolean() && System.nanoTime() < end;
  }
}
