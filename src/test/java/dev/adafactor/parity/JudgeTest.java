package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static dev.adafactor.parity.Samples.trajectory;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class JudgeTest {
  private static final List<CaseVariable> VECTOR =
      List.of(new CaseVariable("w", List.of(2L), ElementType.FLOAT32, float32(1, 1)));
  private static final float ULP = Math.ulp(1f);

  @Test
  void theSameBitsAreEqual() {
    Trajectory trajectory = trajectory(float32(1, 2), float32(3, Float.POSITIVE_INFINITY));
    Verdict verdict = Judge.judge(VECTOR, trajectory, trajectory, Requirement.SAME_BITS);
    assertTrue(verdict.isBitEqual());
    assertTrue(verdict.isGood());
    assertEquals(new Tally(4, 1, 0, 0, 0, 0, 0), verdict.tallies().get(Quantity.VAR));
    // The second moment of a variable that is not finite counts as not finite.
    assertEquals(new Tally(4, 2, 0, 0, 0, 0, 0), verdict.tallies().get(Quantity.V));
    assertEquals(2, verdict.tallies().get(Quantity.LR).elements());
    assertEquals(2, verdict.tallies().get(Quantity.IT).elements());
    assertEquals(2, verdict.tallies().get(Quantity.FINAL).elements());
    assertFalse(verdict.tallies().containsKey(Quantity.R));
  }

  @Test
  void theFirstDifferenceIsNamed() {
    Verdict verdict =
        Judge.judge(
            VECTOR,
            trajectory(float32(1, 1), float32(1, 1)),
            trajectory(float32(1, 1), float32(1, 1 + 3 * ULP)),
            Requirement.SAME_BITS);
    assertFalse(verdict.isBitEqual());
    assertFalse(verdict.isGood());
    // v comes before the variable that it changes.
    assertEquals(
        new Difference(1, Quantity.V, "w", 1, 1, 1 + 3 * ULP, 3), verdict.first().orElseThrow());
    assertEquals(verdict.first(), verdict.firstFailure());
    Tally tally = verdict.tallies().get(Quantity.VAR);
    assertEquals(1, tally.different());
    assertEquals(3, tally.ulps());
    assertEquals(3 * ULP, tally.relative());
    assertEquals(1.5, tally.scaleUlps());
  }

  @Test
  void zerosOfDifferentSignAreNotTheSameBits() {
    Verdict verdict =
        Judge.judge(
            VECTOR,
            trajectory(float32(0f, 1)),
            trajectory(float32(-0f, 1)),
            Requirement.WITHIN_ROUNDING);
    assertFalse(verdict.isBitEqual());
    assertTrue(verdict.isGood());
    assertEquals(0, verdict.first().orElseThrow().ulps());
  }

  @Test
  void anyTwoNaNAreEqualButOthersAreCounted() {
    Verdict verdict =
        Judge.judge(
            VECTOR,
            trajectory(float32(Float.intBitsToFloat(0x7fc00001), Float.NaN)),
            trajectory(float32(Float.intBitsToFloat(0xffc00000), Float.NaN)),
            Requirement.SAME_BITS);
    assertTrue(verdict.isBitEqual());
    assertEquals(new Tally(2, 2, 0, 1, 0, 0, 0), verdict.tallies().get(Quantity.VAR));
  }

  @Test
  void eightUlpOfTheScaleForEachStepAreRounding() {
    assertTrue(afterTwoSteps(16 * ULP).isGood());
    assertFalse(afterTwoSteps(17 * ULP).isGood());
    assertFalse(afterTwoSteps(Float.NaN).isGood());
    assertFalse(afterTwoSteps(Float.POSITIVE_INFINITY).isGood());
  }

  /** The largest magnitude is 1, tf_keras has 0 where there is {@code value}. */
  private static Verdict afterTwoSteps(float value) {
    return Judge.judge(
        VECTOR,
        trajectory(float32(1, 0), float32(1, 0)),
        trajectory(float32(1, 0), float32(1, value)),
        Requirement.WITHIN_ROUNDING);
  }

  @Test
  void whereTfKerasIsNotFiniteAnythingIsRounding() {
    Verdict verdict =
        Judge.judge(
            VECTOR,
            trajectory(float32(Float.NaN, Float.NEGATIVE_INFINITY)),
            trajectory(float32(1, Float.NaN)),
            Requirement.WITHIN_ROUNDING);
    assertTrue(verdict.isGood());
    assertFalse(verdict.isBitEqual());
    assertEquals(new Tally(2, 2, 2, 0, 0, 0, 0), verdict.tallies().get(Quantity.VAR));
  }

  @Test
  void whatTheVariableOnceWasIsItsScale() {
    // The variable starts at 1: rounding may leave 16 ulp of that in a second step that ends at 0.
    Trajectory recorded = variable(float32(1, 1), float32(0, 0));
    assertTrue(judgeRounding(recorded, variable(float32(1, 1), float32(0, 16 * ULP))).isGood());
    assertFalse(judgeRounding(recorded, variable(float32(1, 1), float32(0, 17 * ULP))).isGood());
  }

  @Test
  void theStateOfARuinedVariableIsNotAskedFor() {
    Values nan = float32(Float.NaN, Float.NaN);
    Verdict verdict = judgeRounding(state(nan, float32(0, 0)), state(float32(1, 1), float32(1, 1)));
    assertTrue(verdict.isGood());
    assertFalse(verdict.isBitEqual());
    assertFalse(
        judgeRounding(state(float32(1, 1), float32(0, 0)), state(float32(1, 1), float32(1, 1)))
            .isGood());
  }

  private static Verdict judgeRounding(Trajectory recorded, Trajectory computed) {
    return Judge.judge(VECTOR, recorded, computed, Requirement.WITHIN_ROUNDING);
  }

  /** One variable whose second moment is always 1. */
  private static Trajectory variable(Values... values) {
    List<State> states = new ArrayList<>();
    for (Values value : values) {
      states.addAll(state(value, float32(1, 1)).states());
    }
    return new Trajectory(states, List.of(values[values.length - 1]));
  }

  /** One step of one variable. */
  private static Trajectory state(Values value, Values v) {
    VariableState variable =
        new VariableState(value, v, Optional.empty(), Optional.empty(), Optional.empty());
    return new Trajectory(
        List.of(new State(List.of(variable), 1, Values.of(0.5f))), List.of(value));
  }

  @Test
  void aCounterIsNeverRounded() {
    Trajectory recorded = trajectory(float32(1, 1));
    State state = recorded.states().get(0);
    Trajectory computed =
        new Trajectory(
            List.of(new State(state.variables(), 2, state.learningRate())), recorded.finalValues());
    Verdict verdict = Judge.judge(VECTOR, recorded, computed, Requirement.WITHIN_ROUNDING);
    assertEquals(Quantity.IT, verdict.firstFailure().orElseThrow().quantity());
  }

  @Test
  void trajectoriesOfDifferentLengthCannotBeCompared() {
    assertThrows(
        IllegalArgumentException.class,
        () ->
            Judge.judge(
                VECTOR,
                trajectory(float32(1, 1)),
                trajectory(float32(1, 1), float32(1, 1)),
                Requirement.SAME_BITS));
  }
}
