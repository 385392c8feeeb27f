package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;

/** Sums by collective operations; whatever may wait for ever is given some time. */
class CollectiveReduceTest {

  private static final Duration LONG = Duration.ofMinutes(5);

  /** Sums of parts on some devices, all of them independent of each other. */
  private static final class Sums implements AutoCloseable {
    final Graph graph = new Graph();
    final Ops tf = Ops.create(graph);
    final Mesh mesh;

    /** Of each part 0 is an element, and there is no other. */
    final Placeholder<TInt32> index =
        tf.placeholder(TInt32.class, Placeholder.shape(Shape.scalar()));

    /** For each sum what the devices have of it. */
    final List<List<Operand<TFloat64>>> sums = new ArrayList<>();

    final Op all;

    Sums(int devices, int count, Reductions reductions) {
      mesh = Mesh.virtualCpus("x=" + devices);
      Random random = new Random(7);
      List<Op> done = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        List<Reduction.Part<TFloat64>> parts = new ArrayList<>();
        for (int device = 0; device < devices; device++) {
          Ops there = tf.withDevice(mesh.device(device));
          double[] values = DoubleStream.generate(random::nextGaussian).limit(5).toArray();
          Operand<TFloat64> part = there.constant(new double[][] {values});
          parts.add(new Reduction.Part<>(there, there.gather(part, index, there.constant(0))));
        }
        sums.add(reductions.sum(parts));
        done.addAll(sums.get(i));
      }
      all = tf.withControlDependencies(done).noOp();
    }

    Session session(int threads) {
      ConfigProto config =
          ConfigProto.newBuilder()
              .setIntraOpParallelismThreads(threads)
              .setInterOpParallelismThreads(threads)
              .build();
      return new Session(graph, config.toBuilder().mergeFrom(mesh.config()).build());
    }

    void run(Session session, int at) {
      try (TInt32 element = TInt32.scalarOf(at)) {
        session.runner().feed(index, element).addTarget(all).run().close();
      }
    }

    double[] fetch(Session session, int sum, int device) {
      try (TInt32 element = TInt32.scalarOf(0);
          Result result =
              session.runner().feed(index, element).fetch(sums.get(sum).get(device)).run()) {
        double[] values = new double[5];
        ((TFloat64) result.get(0)).asRawTensor().data().asDoubles().read(values);
        return values;
      }
    }

    @Override
    public void close() {
      graph.close();
    }
  }

  /** A run that fetches the sum of one device alone has the others take part, too. */
  @ParameterizedTest
  @CsvSource({"1, 0", "2, 0", "3, 1e-15", "4, 1e-15"})
  void areThoseOfAddN(int devices, double tolerance) {
    try (Sums added = new Sums(devices, 3, Reductions.ADD_N);
        Sums reduced = new Sums(devices, 3, Reductions.COLLECTIVE);
        Session one = added.session(2);
        Session other = reduced.session(2)) {
      for (int i = 0; i < 3; i++) {
        double[] expected = added.fetch(one, i, 0);
        int sum = i;
        double[] first = assertTimeoutPreemptively(LONG, () -> reduced.fetch(other, sum, 0));
        for (int j = 0; j < first.length; j++) {
          assertEquals(expected[j], first[j], tolerance * 4);
        }
        for (int device = 1; device < devices; device++) {
          int last = device;
          assertArrayEquals(
              first, assertTimeoutPreemptively(LONG, () -> reduced.fetch(other, sum, last)));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void neverWaitForEachOther(int threads) {
    try (Sums sums = new Sums(4, 12, Reductions.COLLECTIVE);
        Session session = sums.session(threads)) {
      assertTimeoutPreemptively(
          LONG,
          () -> {
            for (int step = 0; step < 1000; step++) {
              sums.run(session, 0);
            }
          });
    }
  }

  @Test
  void areApartInSessionsAndRunsAtTheSameTime() {
    try (Sums sums = new Sums(3, 5, Reductions.COLLECTIVE);
        Session one = sums.session(1);
        Session other = sums.session(1)) {
      assertTimeoutPreemptively(
          LONG,
          () -> {
            ExecutorService threads = Executors.newFixedThreadPool(4);
            List<Future<?>> runs = new ArrayList<>();
            for (Session session : List.of(one, one, other, other)) {
              runs.add(
                  threads.submit(
                      () -> {
                        for (int step = 0; step < 50; step++) {
                          sums.run(session, 0);
                        }
                      }));
            }
            for (Future<?> run : runs) {
              run.get();
            }
            threads.shutdown();
          });
    }
  }

  @Test
  void endWithTheErrorOfAPartAndWorkAfterIt() {
    try (Sums sums = new Sums(3, 2, Reductions.COLLECTIVE);
        Session session = sums.session(1)) {
      assertTimeoutPreemptively(
          LONG,
          () -> {
            for (int time = 0; time < 20; time++) {
              assertThrows(TFInvalidArgumentException.class, () -> sums.run(session, 1));
              sums.run(session, 0);
            }
          });
    }
  }

  @Test
  void areForDevicesOfOneProcess() {
    assertDoesNotThrow(() -> Reductions.COLLECTIVE.requireSoundOver(Mesh.virtualCpus("x=2")));
    Mesh processes = Mesh.parse("x=2", List.of("/job:worker/task:0", "/job:worker/task:1"));
    assertEquals(
        "collective operations are for devices of one process, and the mesh names"
            + " /job:worker/task:0: between processes they need a group leader in the configuration"
            + " of each server, and fail for good once a process was started again; use ADD_N",
        assertThrows(
                IllegalArgumentException.class,
                () -> Reductions.COLLECTIVE.requireSoundOver(processes))
            .getMessage());
    assertDoesNotThrow(() -> Reductions.ADD_N.requireSoundOver(processes));
  }
}
