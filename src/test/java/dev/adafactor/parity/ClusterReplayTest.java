package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.adafactor.Numerics;
import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.NoReduction;
import dev.adafactor.mesh.Reduction;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.mesh.Task;
import dev.adafactor.mesh.WorkerProcesses;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;

/** Recorded cases, whose variables are spread over processes. */
@ExtendWith(OwnNetwork.class)
class ClusterReplayTest {
  /** A process that is not there when a session is opened is waited for as long. */
  private static final Duration TIMEOUT = Duration.ofSeconds(12);

  /** Of the cases that come with the project, those of other remainders are left out. */
  private static final int DIVISOR = 24;

  private static Replay replay(WorkerProcesses workers, String mesh) {
    return replay(workers, mesh, Reductions.ADD_N);
  }

  private static Replay replay(WorkerProcesses workers, String mesh, Reduction reduction) {
    List<String> devices = workers.cluster().tasks().stream().map(Task::toString).toList();
    return new Replay(
        Numerics.STABLE,
        new OnMesh(Mesh.parse(mesh, devices), reduction),
        new Host.Processes(workers.cluster(), TIMEOUT));
  }

  /** Also with the bits that virtual devices of one process compute. */
  static void assertAsRecorded(WorkerProcesses workers, String mesh, int remainder)
      throws Exception {
    Replay there = replay(workers, mesh);
    Replay here =
        new Replay(
            Numerics.STABLE,
            new OnMesh(Mesh.virtualCpus(mesh), Reductions.ADD_N),
            new Host.ThisProcess());
    Comparison withRecorded = new Comparison(Requirement.WITHIN_ROUNDING);
    Comparison withHere = new Comparison(Requirement.SAME_BITS);
    List<Case> all = Goldens.cases();
    for (int i = remainder; i < all.size(); i += DIVISOR) {
      Replayed replayed = there.replay(all.get(i));
      withRecorded.add(replayed);
      Case asHere = recording(all.get(i), completed(here.replay(all.get(i))));
      withHere.add(new Replayed(asHere, replayed.outcome()));
    }
    for (Comparison comparison : List.of(withRecorded, withHere)) {
      assertEquals(List.of(), comparison.errors());
      assertEquals(List.of(), comparison.failures());
      assertEquals(List.of(), comparison.unrecorded());
      assertTrue(comparison.cases() >= all.size() / DIVISOR);
    }
  }

  private static Case recording(Case input, Trajectory recorded) {
    return new Case(
        input.id(),
        input.tags(),
        input.settings(),
        input.exclusion(),
        input.variables(),
        input.initialIterations(),
        input.steps(),
        Optional.of(recorded));
  }

  private static Trajectory completed(Replayed replayed) {
    return assertInstanceOf(
            Outcome.Completed.class, replayed.outcome(), replayed.outcome()::toString)
        .trajectory();
  }

  @Test
  void goldensAreAsRecordedOnTwoProcesses() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      assertAsRecorded(workers, "x=2", 0);
      assertAsRecorded(workers, "y=2", 1);
    }
  }

  @Test
  void goldensAreAsRecordedOnFourProcesses() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(4)) {
      assertAsRecorded(workers, "x=2,y=2", 2);
      assertAsRecorded(workers, "x=4", 3);
    }
  }

  /** What the processes compute by themselves is not enough. */
  @Test
  void goldensAreNotAsRecordedWithoutReductions() throws Exception {
    List<Case> all = Goldens.cases();
    Comparison comparison = new Comparison(Requirement.WITHIN_ROUNDING);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Replay replay = replay(workers, "x=2", new NoReduction());
      for (int i = 0; i < all.size(); i += DIVISOR) {
        comparison.add(replay.replay(all.get(i)));
      }
    }
    assertEquals(List.of(), comparison.errors());
    // In the others x cuts nothing, or epsilon_1 outweighs the gradients.
    assertTrue(
        comparison.failures().size() > comparison.cases() / 2, comparison.failures()::toString);
  }

  /** Each case has a session of its own, for which a process may be new. */
  @Test
  void aLostProcessIsNoOutcomeOfACase() throws Exception {
    Case golden = Goldens.cases().get(0);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Replay replay = replay(workers, "x=2");
      List<ByteBuffer> before = finalBytes(replay, golden);
      workers.kill(1);
      String message =
          assertThrows(ClusterException.class, () -> replay.replay(golden)).getMessage();
      assertTrue(message.contains("/job:worker/task:1 at '127.0.0.1:2001'"), message);
      Process strange = WorkerProcesses.program("worker=127.0.0.1:2001", 0).start();
      try {
        assertNotNull(strange.inputReader().readLine());
        String another =
            assertThrows(IllegalArgumentException.class, () -> replay.replay(golden)).getMessage();
        assertTrue(another.contains(" of another one, with /job:worker/task:0 at '127"), another);
      } finally {
        strange.destroyForcibly().waitFor();
      }
      workers.restart(1);
      assertEquals(before, finalBytes(replay, golden));
    }
  }

  @Test
  void aProcessThatIsAnotherThanBeforeIsNamed() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(2);
        Graph graph = new Graph()) {
      Ops there = Ops.create(graph).withDevice(workers.cluster().tasks().get(1).device());
      Operand<TFloat32> variable = there.variable(there.constant(1f));
      Host host = new Host.Processes(workers.cluster(), TIMEOUT);
      Executable restarted =
          () ->
              host.run(
                  graph,
                  ConfigProto.getDefaultInstance(),
                  session -> {
                    restart(workers);
                    return session.runner().fetch(variable).run();
                  });
      String message = assertThrows(ClusterException.class, restarted).getMessage();
      assertTrue(
          message.startsWith("/job:worker/task:1 at '127.0.0.1:2001' was started anew"), message);
    }
  }

  private static void restart(WorkerProcesses workers) {
    try {
      workers.kill(1);
      workers.restart(1);
    } catch (InterruptedException | IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<ByteBuffer> finalBytes(Replay replay, Case input) {
    return completed(replay.replay(input)).finalValues().stream()
        .map(values -> ByteBuffer.wrap(values.toByteArray()))
        .toList();
  }

  @Test
  void whatFailsInAProcessIsAnOutcome() throws Exception {
    Values ones = Samples.float32(1, 1);
    Gradient beyond = new Gradient.Sparse(List.of(7, 1), ones);
    Case wrong =
        new Case(
            "beyond",
            List.of(),
            JsonNodeFactory.instance.objectNode(),
            new Exclusion.None(),
            List.of(new CaseVariable("w", List.of(2L), ElementType.FLOAT32, ones)),
            0,
            List.of(new Step(OptionalDouble.empty(), List.of(beyond))),
            Optional.empty());
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Outcome outcome = replay(workers, "x=2").replay(wrong).outcome();
      String error = assertInstanceOf(Outcome.Failed.class, outcome).error();
      assertTrue(
          error.matches("(INVALID_ARGUMENT: )?From /job:worker/\\S+: .* beyond the 2 rows of .*"),
          error);
    }
  }
}
