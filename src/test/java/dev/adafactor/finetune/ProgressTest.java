package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.TrainingListener.Epoch;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProgressTest {
  private static final Map<String, String> JOB = Map.of("seed", "3", "batch-size", "32");

  @Test
  void isTheSameAfterItWasWritten() throws IOException {
    Evaluation.Accumulator begun = new Evaluation.Accumulator();
    begun.add(3, 0.1, OptionalDouble.of(1.0 / 3));
    Progress progress =
        new Progress(
            4,
            7,
            1,
            List.of(
                new Epoch(
                    1,
                    new Evaluation(Math.PI, OptionalDouble.of(0.5), 96),
                    Optional.of(new Evaluation(Double.NaN, OptionalDouble.empty(), 4)))),
            begun,
            Optional.of(new BestEpoch.State(Double.NEGATIVE_INFINITY, 1, 2, 1)));
    Progress read = Progress.fromJson(progress.toJson(JOB), JOB, 5);
    assertEquals(progress.before(), read.before());
    assertEquals(progress.steps(), read.steps());
    assertEquals(progress.finished(), read.finished());
    assertEquals(progress.epochs(), read.epochs());
    assertEquals(progress.best(), read.best());
    assertEquals(begun.sums(), read.epoch().sums());
    assertEquals(begun.mean(), read.epoch().mean());
  }

  @Test
  void startsWhereTheStepsOfPythonEnd() throws IOException {
    Progress read = Progress.fromJson(Progress.ofSteps(0, 50, 9).toJson(JOB), JOB, 9);
    assertEquals(50, read.steps());
    assertEquals(5, read.finished());
    assertEquals(List.of(), read.epochs());
    assertEquals(Optional.empty(), read.best());
  }

  @Test
  void belongsToOneJob() {
    String text = Progress.ofSteps(0, 0, 1).toJson(JOB);
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> Progress.fromJson(text, Map.of("seed", "4", "batch-size", "32"), 1))
            .getMessage();
    assertTrue(message.contains("seed 3, this one has 4"), message);
    assertThrows(IOException.class, () -> Progress.fromJson("{", JOB, 1));
    assertThrows(IllegalArgumentException.class, () -> Progress.fromJson("{}", JOB, 1));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "[]",
        "null",
        "\"steps\"",
        "{'steps': -1, 'finished': 0, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 5, 'finished': -1, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 9223372036854775807, 'finished': 0, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 1e400, 'finished': 0, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 99999999999999999999, 'finished': 0, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 7, 'finished': 3000000000, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 11, 'finished': 1, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 4, 'finished': 1, 'epoch': {'loss': '0', 'examples': 0}}",
        "{'steps': 5, 'finished': 1, 'epoch': {'loss': 'x', 'examples': 0}}",
        "{'steps': 5, 'finished': 1, 'epoch': {'loss': '0', 'examples': -3}}",
        "{'steps': 5, 'finished': 1, 'epoch': 7}",
        "{'steps': 5, 'finished': 1, 'epoch': {'loss': '0', 'examples': 0}, 'epochs': [1]}",
        "{'steps': 5, 'finished': 1, 'epoch': {'loss': '0', 'examples': 0},"
            + " 'best': {'score': '0', 'epoch': 4, 'epochs': 4, 'waiting': 0}}",
        "{'steps': 5, 'finished': 1, 'epoch': {'loss': '0', 'examples': 0},"
            + " 'best': {'score': '0', 'epoch': -4, 'epochs': 4, 'waiting': 0}}"
      })
  void isRefusedWhereItCannotBe(String note) {
    String text = note.replace('\'', '"');
    String message =
        assertThrows(IOException.class, () -> Progress.fromJson(text, Map.of(), 5), text)
            .getMessage();
    assertTrue(message.startsWith("has a note that "), message);
  }
}
