package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.adafactor.Numerics;
import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.mesh.Task;
import dev.adafactor.mesh.WorkerProcesses;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Recorded cases, whose variables are spread over processes. */
@ExtendWith(OwnNetwork.class)
class ClusterReplayTest {
  /** A process that is not there when a session is opened is waited for as long. */
  private static final Duration TIMEOUT = Duration.ofSeconds(12);

  /** Of the cases that come with the project, those of other remainders are left out. */
  private static final int DIVISOR = 24;

  private static Replay replay(WorkerProcesses workers, String mesh) {
    List<String> devices = workers.cluster().tasks().stream().map(Task::toString).toList();
    return new Replay(
        Numerics.STABLE,
        new OnMesh(Mesh.parse(mesh, devices), Reductions.ADD_N),
        new Host.Processes(workers.cluster(), TIMEOUT));
  }

  /** Also with the bits that virtual devices of one process compute. */
  private static void assertAsRecorded(WorkerProcesses workers, String mesh, int remainder)
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
      workers.restart(1);
      assertEquals(before, finalBytes(replay, golden));
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
          error.matches("(INVALID_ARGUMENT: )?From /job:worker/\\S+: .* is out of range.*"), error);
    }
  }
}
