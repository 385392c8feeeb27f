package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static dev.adafactor.parity.Samples.trajectory;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ComparedRunTest {
  private static final Trajectory ONES = trajectory(float32(1, 1));
  private static final Trajectory NAN = trajectory(float32(Float.NaN, 1));

  private static ComparedRun run(Optional<Trajectory> recorded, Outcome outcome) {
    Replayed replayed = new Replayed(Samples.vector("one", recorded), outcome);
    return ComparedRun.of(replayed, new Comparison(Requirement.WITHIN_ROUNDING).add(replayed));
  }

  private static Standing standing(Trajectory recorded, Trajectory computed) {
    return run(Optional.of(recorded), new Outcome.Completed(computed)).standing();
  }

  @Test
  void saysHowItStands() {
    assertEquals(Standing.BIT_EQUAL, standing(ONES, ONES));
    assertEquals(Standing.BIT_EQUAL, standing(NAN, NAN));
    assertEquals(
        Standing.WITHIN_ROUNDING, standing(ONES, trajectory(float32(1, 1 + Math.ulp(1f)))));
    assertEquals(Standing.APART, standing(ONES, trajectory(float32(1, 2))));
    assertEquals(Standing.NOT_FINITE, standing(NAN, ONES));
    // What can be compared is compared.
    assertEquals(Standing.APART, standing(NAN, trajectory(float32(Float.NaN, 2))));
    assertEquals(
        Standing.UNRECORDED, run(Optional.empty(), new Outcome.Completed(ONES)).standing());
  }

  @Test
  void whatCouldNotRunHasAReasonAndNoCourses() {
    ComparedRun run = run(Optional.of(ONES), new Outcome.Failed("why"));
    assertEquals(Standing.FAILED, run.standing());
    assertEquals(Optional.of("why"), run.error());
    assertEquals(List.of(), run.courses());
  }

  @Test
  void hasACourseOfEachVariableAndQuantity() {
    ComparedRun run = run(Optional.of(ONES), new Outcome.Completed(ONES));
    assertEquals(
        List.of(
            new Subject(Quantity.LR, OptionalInt.empty()),
            new Subject(Quantity.V, OptionalInt.of(0)),
            new Subject(Quantity.VAR, OptionalInt.of(0))),
        run.courses().stream().map(Course::subject).toList());
    assertEquals(List.of(List.of(), List.of(2L), List.of(2L)), shapes(run));
    assertEquals(List.of(1), run.points());
  }

  private static List<List<Long>> shapes(ComparedRun run) {
    return run.courses().stream().map(Course::shape).toList();
  }

  @Test
  void notesWhatTheArgumentsDoNotTell() {
    Case plain = Samples.vector("one", Optional.empty());
    Case input =
        new Case(
            plain.id(),
            plain.tags(),
            JsonNodeFactory.instance.objectNode(),
            new Exclusion.ByVariable(List.of(0)),
            plain.variables(),
            1000,
            List.of(new Step(OptionalDouble.of(0.5), plain.steps().get(0).gradients())),
            Optional.empty());
    ComparedRun run =
        ComparedRun.of(new Replayed(input, new Outcome.Completed(ONES)), Optional.empty());
    assertEquals(
        List.of(
            "no weight decay for w",
            "goes on from iteration 1000",
            "learning rate set to 0.5 before step 1"),
        run.notes());
  }
}
