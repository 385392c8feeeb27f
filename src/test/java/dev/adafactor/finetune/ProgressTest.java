package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.TrainingListener.Epoch;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private static final Map<String, String> JOB = Map.of("seed", "3", "batch-size", "32");

  @Test
  void isTheSameAfterItWasWritten() {
    Evaluation.Accumulator begun = new Evaluation.Accumulator();
    begun.add(3, 0.1, OptionalDouble.of(1.0 / 3));
    Progress progress =
        new Progress(
            7,
            1,
            List.of(
                new Epoch(
                    1,
                    new Evaluation(Math.PI, OptionalDouble.of(0.5), 96),
                    Optional.of(new Evaluation(Double.NaN, OptionalDouble.empty(), 4)))),
            begun,
            Optional.of(new BestEpoch.State(Double.NEGATIVE_INFINITY, 1, 2, 1)));
    Progress read = Progress.fromJson(progress.toJson(JOB), JOB);
    assertEquals(progress.steps(), read.steps());
    assertEquals(progress.finished(), read.finished());
    assertEquals(progress.epochs(), read.epochs());
    assertEquals(progress.best(), read.best());
    assertEquals(begun.sums(), read.epoch().sums());
    assertEquals(begun.mean(), read.epoch().mean());
  }

  @Test
  void startsWhereTheStepsOfPythonEnd() {
    Progress read = Progress.fromJson(Progress.ofSteps(50, 9).toJson(JOB), JOB);
    assertEquals(50, read.steps());
    assertEquals(5, read.finished());
    assertEquals(List.of(), read.epochs());
    assertEquals(Optional.empty(), read.best());
  }

  @Test
  void belongsToOneJob() {
    String text = Progress.ofSteps(0, 1).toJson(JOB);
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> Progress.fromJson(text, Map.of("seed", "4", "batch-size", "32")))
            .getMessage();
    assertTrue(message.contains("seed 3, this one has 4"), message);
    assertThrows(IllegalArgumentException.class, () -> Progress.fromJson("{", JOB));
    assertThrows(IllegalArgumentException.class, () -> Progress.fromJson("{}", JOB));
  }
}
