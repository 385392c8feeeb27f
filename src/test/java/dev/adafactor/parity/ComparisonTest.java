package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static dev.adafactor.parity.Samples.trajectory;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ComparisonTest {
  private static final Trajectory ONES = trajectory(float32(1, 1));
  private static final Trajectory OFF = trajectory(float32(1, 1 + Math.ulp(1f)));
  private static final Trajectory FAR = trajectory(float32(1, 2));

  private final Comparison comparison = new Comparison(Requirement.WITHIN_ROUNDING);

  private void add(String id, Optional<Trajectory> recorded, Outcome outcome) {
    comparison.add(new Replayed(Samples.vector(id, recorded), outcome));
  }

  @Test
  void sumsUp() {
    add("same", Optional.of(ONES), new Outcome.Completed(ONES));
    add("off", Optional.of(ONES), new Outcome.Completed(OFF));
    add("bare", Optional.empty(), new Outcome.Completed(ONES));
    assertTrue(comparison.isGood());
    assertEquals(3, comparison.cases());
    assertEquals(1, comparison.bitEqual());
    assertEquals(List.of("bare"), comparison.unrecorded());
    assertEquals("off", comparison.different().get(0).id());
    assertTrue(comparison.different().get(0).text().contains("w[1]"));
    assertEquals(List.of(), comparison.failures());
    assertEquals(4, comparison.tallies().get(Quantity.VAR).elements());
    assertEquals(1, comparison.tallies().get(Quantity.VAR).ulps());
  }

  @Test
  void aFailureIsBad() {
    add("far", Optional.of(ONES), new Outcome.Completed(FAR));
    assertFalse(comparison.isGood());
    assertEquals("far", comparison.failures().get(0).id());
  }

  @Test
  void aCaseThatCannotRunIsBad() {
    add("broken", Optional.empty(), new Outcome.Failed("why"));
    assertFalse(comparison.isGood());
    assertEquals(List.of(new Comparison.Remark("broken", "why")), comparison.errors());
  }
}
