package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.OwnNetwork;
import dev.adafactor.Snapshot;
import dev.adafactor.checkpoint.Extent;
import dev.adafactor.checkpoint.StoredState;
import dev.adafactor.checkpoint.TrainingState;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;

@ExtendWith(OwnNetwork.class)
class ClusterSessionTest {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  /** What the system reports of a process that SIGTERM ended. */
  private static final int TERMINATED = 143;

  @TempDir Path folder;

  @Test
  void trainsOnTwoWorkersAndPutsTheStateBack() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Snapshot early;
      Snapshot whole;
      try (PinnedTraining training =
          new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
        training.trainTo(3);
        training.adafactor().setLearningRate(training.session(), 0.01);
        training.save(folder);
        early = training.snapshot();
        training.trainTo(6);
        whole = training.snapshot();
        assertNotEquals(early, whole);
        training.adafactor().restore(training.session(), early);
        training.trainTo(6);
        assertEquals(whole, training.snapshot());
      }
      try (PinnedTraining training =
          new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
        assertEquals(0, training.iterations());
        training.resume(folder);
        assertEquals(early, training.snapshot());
        training.trainTo(6);
        assertEquals(whole, training.snapshot());
      }
      assertEquals(TERMINATED, workers.terminate(1));
      assertEquals(TERMINATED, workers.terminate(0));
    }
  }

  @Test
  void sessionsHaveVariablesOfTheirOwn() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        PinnedTraining one =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true));
        PinnedTraining other =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder.useEma(true))) {
      one.trainTo(3);
      assertEquals(0, other.iterations());
      other.trainTo(3);
      assertEquals(one.snapshot(), other.snapshot());
    }
  }

  @Test
  void hostsOfIpv6WillDo() throws Exception {
    assumeTrue(
        NetworkInterface.getByName("lo").inetAddresses().anyMatch(Inet6Address.class::isInstance),
        "no IPv6 here");
    try (WorkerProcesses workers = new WorkerProcesses("[::1]", 2, WorkerProcesses::program);
        PinnedTraining training =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder)) {
      training.trainTo(2);
      workers.kill(1);
      String message = assertThrows(ClusterException.class, training::step).getMessage();
      assertTrue(message.contains("/job:worker/task:1 at '[::1]:2001'"), message);
    }
  }

  /** The first process writes a checkpoint, where the others look for it. */
  @Test
  void checkpointsNeedASharedFileSystem() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(1, this::withItsOwnFolder);
        PinnedTraining training =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder)) {
      training.trainTo(2);
      String message = assertThrows(IOException.class, () -> training.save(folder)).getMessage();
      assertTrue(message.contains("ckpt-2': the process that runs the session"), message);
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(List.of(), files.toList());
      }
    }
  }

  /** The files are not to blame. */
  @Test
  void namesAProcessThatIsLostWhenACheckpointIsWrittenOrRead() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        PinnedTraining training =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder)) {
      training.trainTo(2);
      training.save(folder);
      workers.kill(1);
      assertNamesTheSecond(() -> training.save(folder, 3));
      assertNamesTheSecond(() -> training.resume(folder));
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(
            List.of("checkpoint", "ckpt-2.data-00000-of-00001", "ckpt-2.index"),
            files.map(file -> file.getFileName().toString()).sorted().toList());
      }
    }
  }

  private static void assertNamesTheSecond(Executable use) {
    String message = assertThrows(ClusterException.class, use).getMessage();
    assertTrue(message.startsWith("/job:worker/task:1 at '127.0.0.1:2001' cannot"), message);
  }

  /** The workers need not see the files that hold the whole of what they have the shards of. */
  @Test
  void keepsTheStateOfShardsInFilesOfThisProcess() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2, this::withItsOwnFolder);
        Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Mesh mesh =
          Mesh.parse(
              "x=2", List.of("/job:worker/task:0/device:CPU:0", "/job:worker/task:1/device:CPU:0"));
      Operand<TFloat32> initial = tf.constant(new float[][] {{1, 2}, {3, 4}, {5, 6}, {7, 8}});
      Layout layout = Layout.ofMatrices(mesh, initial.shape());
      ShardedVariable<TFloat32> w = ShardedVariable.create(tf, "w", layout, initial);
      Adafactor adafactor = Adafactor.builder(graph).mesh(mesh).build();
      Op train = adafactor.minimize(tf.nn.l2Loss(w), List.of(w));
      try (ClusterSession opened =
          ClusterSession.open(
              workers.cluster(), TIMEOUT, graph, ConfigProto.getDefaultInstance())) {
        TrainingState state = TrainingState.of(opened, adafactor, List.of());
        opened.session().initialize();
        opened.session().run(train);
        Snapshot early = adafactor.snapshot(opened.session());
        state.save(folder.resolve("state"), "", 1);
        opened.session().run(train);
        assertNotEquals(early, adafactor.snapshot(opened.session()));
        StoredState stored = StoredState.find(folder.resolve("state"));
        stored.restore(state, Extent.ALL);
        assertEquals(early, adafactor.snapshot(opened.session()));
        workers.kill(1);
        assertNamesTheSecond(() -> state.save(folder.resolve("other"), "", 2));
        assertNamesTheSecond(() -> stored.restore(state, Extent.ALL));
      }
    }
  }

  private ProcessBuilder withItsOwnFolder(String cluster, int task) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "unshare",
                "-m",
                "sh",
                "-c",
                "mount -t tmpfs tmpfs '%s' && exec \"$@\"".formatted(folder),
                "sh"));
    command.addAll(WorkerProcesses.program(cluster, task).command());
    return new ProcessBuilder(command);
  }

  @Test
  void refusesProcessesOfAnotherCluster() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(1)) {
      Cluster more = Cluster.parse(List.of(workers.cluster() + ",127.0.0.1:9"));
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> new PinnedTraining(more, TIMEOUT, builder -> builder))
              .getMessage();
      assertTrue(message.contains("another one, without /job:worker/task:1"), message);
    }
  }

  @Test
  void refusesProcessesAtEachOthersAddresses() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(3)) {
      assertRefused(
          "worker=127.0.0.1:2000,127.0.0.1:2002,127.0.0.1:2001",
          "with /job:worker/task:2 at '127.0.0.1:2002', with /job:worker/task:1 at '127.0.0.1:2001'");
      assertRefused(
          "worker=127.0.0.1:2001,127.0.0.1:2000,127.0.0.1:2002",
          "with /job:worker/task:1 at '127.0.0.1:2001', with /job:worker/task:0 at '127.0.0.1:2000'");
    }
  }

  @Test
  void refusesProcessesOfTwoClusters() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        WorkerProcesses others =
            new WorkerProcesses(
                2, (all, task) -> WorkerProcesses.program(all.replace(":2", ":3"), task))) {
      assertRefused(
          "worker=127.0.0.1:2000,127.0.0.1:3001",
          "with another /job:worker/task:1 at '127.0.0.1:3001'");
    }
  }

  private static void assertRefused(String cluster, String difference) {
    Cluster other = Cluster.parse(List.of(cluster));
    assertEquals(
        "cluster: the processes of '%s' were started as those of another one, %s"
            .formatted(cluster, difference),
        assertThrows(
                IllegalArgumentException.class,
                () -> new PinnedTraining(other, TIMEOUT, builder -> builder))
            .getMessage());
  }

  /** What has nothing to do with who is there stays what it is. */
  @Test
  void errorsOfTheGraphAreLeftAsTheyAre() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        PinnedTraining training =
            new PinnedTraining(workers.cluster(), TIMEOUT, builder -> builder)) {
      Ops tf = Ops.create(training.graph()).withDevice(new Task("worker", 1).device());
      Op failing = tf.strings.toNumber(tf.constant("x"), TFloat32.class);
      assertThrows(TFInvalidArgumentException.class, () -> training.run(failing));
      training.trainTo(1);
    }
  }
}
