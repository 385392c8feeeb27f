package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.finetune.BestEpoch.Verdict;
import dev.adafactor.finetune.EarlyStopping.Monitor;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class BestEpochTest {

  private static List<Verdict> ofLosses(BestEpoch best, double... losses) {
    List<Verdict> verdicts = new ArrayList<>();
    for (double loss : losses) {
      verdicts.add(best.judge(new Evaluation(loss, OptionalDouble.empty(), 1)));
    }
    return verdicts;
  }

  @Test
  void waitsForAnImprovement() {
    BestEpoch best = new BestEpoch(EarlyStopping.patience(2));
    assertEquals(OptionalInt.empty(), best.number());
    assertEquals(
        List.of(Verdict.BEST, Verdict.GO_ON, Verdict.BEST, Verdict.GO_ON, Verdict.STOP),
        ofLosses(best, 3, 3, 2, 2.5, 2));
    assertEquals(OptionalInt.of(3), best.number());
  }

  @Test
  void littleIsNoImprovement() {
    BestEpoch best = new BestEpoch(EarlyStopping.patience(5).improvingBy(0.5));
    assertEquals(List.of(Verdict.BEST, Verdict.GO_ON, Verdict.BEST), ofLosses(best, 3, 2.6, 2.4));
  }

  @Test
  void withoutPatienceTheFirstFailureEndsIt() {
    BestEpoch best = new BestEpoch(EarlyStopping.patience(0));
    assertEquals(List.of(Verdict.BEST, Verdict.BEST, Verdict.STOP), ofLosses(best, 3, 2, 2));
  }

  @Test
  void aLossThatIsNotANumberIsBestOnlyForWantOfAnother() {
    BestEpoch best = new BestEpoch(EarlyStopping.patience(9));
    assertEquals(
        List.of(Verdict.BEST, Verdict.GO_ON, Verdict.BEST, Verdict.GO_ON),
        ofLosses(best, Double.NaN, Double.NaN, 7, Double.NaN));
  }

  @Test
  void accuracyRises() {
    BestEpoch best = new BestEpoch(EarlyStopping.patience(1).on(Monitor.ACCURACY));
    assertEquals(Verdict.BEST, best.judge(new Evaluation(1, OptionalDouble.of(0.5), 1)));
    assertEquals(Verdict.BEST, best.judge(new Evaluation(2, OptionalDouble.of(0.75), 1)));
    assertEquals(Verdict.STOP, best.judge(new Evaluation(0, OptionalDouble.of(0.75), 1)));
    assertEquals(OptionalInt.of(2), best.number());
  }

  @Test
  void theNumbersAreChecked() {
    assertThrows(IllegalArgumentException.class, () -> EarlyStopping.patience(-1));
    assertThrows(
        IllegalArgumentException.class, () -> EarlyStopping.patience(1).improvingBy(Double.NaN));
  }
}
