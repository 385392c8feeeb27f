package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Numerics;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import java.io.IOException;
import java.net.URISyntaxException;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The recorded cases that come with the project. */
class GoldensReplayTest {

  @ParameterizedTest
  @CsvSource({
    "TF_KERAS, REFERENCE",
    "TF_KERAS, RESOURCE",
    "STABLE,   REFERENCE",
    "STABLE,   RESOURCE",
  })
  void areAsTfKerasRecordedThem(Numerics numerics, VariableKind kind)
      throws IOException, URISyntaxException {
    Comparison comparison = new Comparison(Requirement.of(numerics, System.getProperty("os.arch")));
    Replay replay = new Replay(numerics, kind, new Host.ThisProcess());
    for (Case golden : Goldens.cases()) {
      comparison.add(replay.replay(golden));
    }
    assertEquals(List.of(), comparison.errors());
    assertEquals(List.of(), comparison.failures());
    assertEquals(List.of(), comparison.unrecorded());
    assertEquals(Goldens.cases().size(), comparison.cases());
  }

  @ParameterizedTest
  @ValueSource(strings = {"x=3", "x=2,y=2,z=2"})
  void areSoOnAMesh(String mesh) throws IOException, URISyntaxException {
    Comparison comparison = new Comparison(Requirement.WITHIN_ROUNDING);
    Replay replay =
        new Replay(
            Numerics.STABLE,
            new OnMesh(Mesh.virtualCpus(mesh), Reductions.ADD_N),
            new Host.ThisProcess());
    for (Case golden : Goldens.cases()) {
      comparison.add(replay.replay(golden));
    }
    assertEquals(List.of(), comparison.errors());
    assertEquals(List.of(), comparison.failures());
    assertEquals(Goldens.cases().size(), comparison.cases());
  }

  @ParameterizedTest
  @EnumSource
  void deadRowsAndColumnsAreFiniteThroughout(VariableKind kind)
      throws IOException, URISyntaxException {
    List<Case> dead =
        Goldens.cases().stream()
            .filter(golden -> golden.id().startsWith("dead_row_and_column"))
            .toList();
    assertEquals(5, dead.size());
    Replay replay = new Replay(Numerics.STABLE, kind, new Host.ThisProcess());
    for (Case golden : dead) {
      Outcome outcome = replay.replay(golden).outcome();
      Trajectory trajectory = assertInstanceOf(Outcome.Completed.class, outcome).trajectory();
      for (State state : trajectory.states()) {
        for (VariableState variable : state.variables()) {
          assertTrue(variable.value().isFinite(), golden.id());
          variable.r().ifPresent(r -> assertTrue(r.isFinite(), golden.id()));
          variable.c().ifPresent(c -> assertTrue(c.isFinite(), golden.id()));
        }
      }
    }
  }
}
