package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.ElementType;
import dev.adafactor.parity.VariableKind;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every peer does in a step what it is said to do. Those whose packages the interpreter lacks are
 * skipped, but for tf_keras; {@code src/main/peers/requirements.txt} has all.
 */
@Tag("live")
class PeersLiveTest {
  /** optax factors the two largest dimensions, so the last two must be the largest. */
  private static final Workload WORKLOAD =
      new Workload(
          new ShapeSet(
              "test",
              List.of(
                  Parameter.dense("matrix", 6, 4),
                  Parameter.dense("vector", 5),
                  Parameter.dense("scalar"),
                  Parameter.dense("kernel", 2, 3, 5, 4),
                  Parameter.dense("large", 300, 257),
                  Parameter.sparse("table", 40, 100, 3))),
          ElementType.FLOAT32,
          2);

  private static final int STEPS = 3;

  /** The elements of the first two variables: of the first of all the gradient is 0. */
  private static final int SMALL = 6 * 4 + 5;

  @ParameterizedTest
  @EnumSource(
      value = Peer.class,
      names = {"TF_KERAS_ADAM", "FRAMEWORK_ADAM"},
      mode = EnumSource.Mode.EXCLUDE)
  void updatesAsThisLibraryDoes(Peer peer) throws IOException {
    try (GraphContender own =
            GraphContender.adafactor(
                WORKLOAD,
                new Variant(
                    VariableKind.REFERENCE,
                    Numerics.STABLE,
                    JitCompile.OFF,
                    Optional.empty(),
                    Reductions.ADD_N));
        Contender other = start(peer)) {
      float[] before = own.values();
      assertClose(before, other.values());
      own.run(STEPS);
      assertEquals(STEPS, other.run(STEPS).length);
      float[] after = own.values();
      assertClose(after, other.values());
      double moved = 0;
      for (int i = 0; i < before.length; i++) {
        moved = Math.max(moved, Math.abs(before[i] - after[i]));
      }
      assertTrue(moved > 1e-4, "moved by " + moved);
    }
  }

  /** For a gradient that is always the same Adam's step is the learning rate, 0.001. */
  @Test
  void updatesByAdam() throws IOException {
    try (Contender adam = start(Peer.TF_KERAS_ADAM)) {
      float[] before = adam.values();
      adam.run(STEPS);
      float[] after = adam.values();
      for (int i = 1; i < SMALL; i++) {
        assertEquals(STEPS * 0.001, Math.abs(before[i] - after[i]), 1e-5, "element " + i);
      }
    }
  }

  private static Contender start(Peer peer) throws IOException {
    PeerPrograms programs = new PeerPrograms(Optional.of(Path.of(Python.interpreter())));
    try {
      return peer.start(programs, WORKLOAD);
    } catch (IOException e) {
      assumeTrue(
          !e.getMessage().startsWith("ModuleNotFoundError") || peer == Peer.TF_KERAS,
          e.getMessage());
      throw e;
    }
  }

  private static void assertClose(float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      // Values reach 0.5, and a step is a thousandth of their root mean square.
      assertEquals(expected[i], actual[i], 2e-6, "element " + i);
    }
  }
}
