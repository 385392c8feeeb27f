package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class EvaluationTest {
  @Test
  void aMeanCountsEachExampleOnce() {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    mean.add(3, 1, OptionalDouble.of(1));
    mean.add(1, 5, OptionalDouble.of(0));
    assertEquals(new Evaluation(2, OptionalDouble.of(0.75), 4), mean.mean());
  }

  @Test
  void aRegressionHasNoAccuracy() {
    Evaluation.Accumulator mean = new Evaluation.Accumulator();
    mean.add(2, 3, OptionalDouble.empty());
    assertEquals(new Evaluation(3, OptionalDouble.empty(), 2), mean.mean());
  }
}
