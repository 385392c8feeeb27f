package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Numerics;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Cases that Python's tf_keras has just recorded, others every time. */
@Tag("live")
@Tag("newest")
class RandomCasesLiveTest {
  private static final int CASES = Boolean.getBoolean("live.full") ? 1000 : 200;

  private static long seed;
  private static List<Case> cases;

  @BeforeAll
  static void record(@TempDir Path folder) throws IOException, InterruptedException {
    seed = Long.getLong("live.seed", new Random().nextInt(1 << 30));
    System.out.println("random cases of seed " + seed + "; -Dlive.seed=" + seed + " repeats them");
    Path file = folder.resolve("random.json");
    Python.run("record_cases.py", "--out", file, "--seed", seed, "--count", CASES);
    cases = CaseFile.read(file).cases();
    assertEquals(CASES, cases.size());
  }

  @ParameterizedTest
  @EnumSource
  void tfKerasNumericsAreEqualBitForBit(VariableKind kind) {
    assertGood(Numerics.TF_KERAS, kind, cases);
  }

  @ParameterizedTest
  @EnumSource
  void stableNumericsAreEqualUpToRounding(VariableKind kind) {
    // The square of a float16 below 0.008 is no normal number: there tf_keras's own rounding is
    // larger than any that is asked for here.
    List<Case> wide =
        cases.stream()
            .filter(
                input ->
                    input.variables().stream()
                        .noneMatch(variable -> variable.type() == ElementType.FLOAT16))
            .toList();
    assertGood(Numerics.STABLE, kind, wide);
  }

  private static void assertGood(Numerics numerics, VariableKind kind, List<Case> replayed) {
    Comparison comparison = new Comparison(Requirement.of(numerics, System.getProperty("os.arch")));
    Replay replay = new Replay(numerics, kind, new Host.ThisProcess());
    replayed.forEach(input -> comparison.add(replay.replay(input)));
    assertEquals(List.of(), comparison.errors(), "seed " + seed);
    assertEquals(List.of(), comparison.failures(), "seed " + seed);
    assertEquals(List.of(), comparison.unrecorded(), "seed " + seed);
    assertEquals(replayed.size(), comparison.cases());
    assertTrue(comparison.cases() > CASES / 2, comparison.cases() + " cases");
  }
}
