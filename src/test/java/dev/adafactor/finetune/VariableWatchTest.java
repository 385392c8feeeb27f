package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VariableWatchTest {
  private static final int BATCH_SIZE = 64;
  private static final int STEPS = 22;
  private static final double RATE = 0.03;

  @TempDir Path folder;

  private static FineTuning.Builder job(int microBatchSize) {
    return Digits.job()
        .batchSize(BATCH_SIZE)
        .microBatchSize(microBatchSize)
        .seed(3)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(RATE).clipThreshold(0.9).build());
  }

  private static final class Reports implements TrainingListener {
    private final List<UpdateReport> all = new ArrayList<>();
    private long step;

    @Override
    public void stepped(Step done) {
      step = done.number();
    }

    @Override
    public void reported(UpdateReport report) {
      assertEquals(step, report.step());
      all.add(report);
    }

    List<Long> steps() {
      return all.stream().map(UpdateReport::step).toList();
    }
  }

  private static List<Double> losses(FineTuningResult result) {
    return result.steps().stream().map(TrainingListener.Step::loss).toList();
  }

  private static byte[] variables(Path model) throws IOException {
    return Files.readAllBytes(model.resolve("variables/variables.data-00000-of-00001"));
  }

  @ParameterizedTest
  @ValueSource(ints = {BATCH_SIZE, 24})
  void changesNoBit(int microBatchSize) throws IOException {
    Reports none = new Reports();
    FineTuningResult plain = job(microBatchSize).export(folder.resolve("plain")).build().run(none);
    assertEquals(List.of(), none.all);
    FineTuningResult watched =
        job(microBatchSize)
            .logVariables(VariableDetail.HISTOGRAMS)
            .logEvery(2)
            .export(folder.resolve("watched"))
            .build()
            .run(new Reports());
    assertEquals(losses(plain), losses(watched));
    assertArrayEquals(variables(folder.resolve("plain")), variables(folder.resolve("watched")));
  }

  @ParameterizedTest
  @ValueSource(ints = {BATCH_SIZE, 24})
  void tellsOfTheStepJustDone(int microBatchSize) throws IOException {
    Map<String, double[]> weights = PlainArrays.weights(Digits.MODEL);
    Reports reports = new Reports();
    job(microBatchSize)
        .logVariables(VariableDetail.HISTOGRAMS)
        .logEvery(1)
        .export(folder.resolve("trained"))
        .build()
        .run(reports);
    assertEquals(STEPS, reports.all.size());
    UpdateReport first = reports.all.get(0);
    assertEquals(weights.keySet(), names(first));
    for (UpdateReport.Variable variable : first.variables()) {
      double rms = rms(weights.get(variable.name()));
      assertEquals(rms, variable.variableRms(), 1e-5 * rms, variable.name());
      assertEquals(Math.max(rms, 1e-3) * RATE, variable.alpha(), 1e-5 * RATE, variable.name());
    }
    Map<String, double[]> trained = PlainArrays.weights(folder.resolve("trained"));
    for (UpdateReport.Variable variable : reports.all.get(STEPS - 1).variables()) {
      double[] values = trained.get(variable.name());
      Histogram histogram = variable.distributions().orElseThrow().values();
      assertEquals(Arrays.stream(values).min().orElseThrow(), histogram.min(), variable.name());
      assertEquals(Arrays.stream(values).max().orElseThrow(), histogram.max(), variable.name());
      assertEquals(values.length, histogram.count(), variable.name());
    }
    assertChangesMakeTheWay(reports.all, weights, trained);
  }

  private static Set<String> names(UpdateReport report) {
    return new HashSet<>(report.variables().stream().map(UpdateReport.Variable::name).toList());
  }

  private static double rms(double[] x) {
    return Math.sqrt(Arrays.stream(x).map(each -> each * each).average().orElseThrow());
  }

  /** The sums of the changes by all steps are what the weights' sums have changed by. */
  private static void assertChangesMakeTheWay(
      List<UpdateReport> reports, Map<String, double[]> before, Map<String, double[]> after) {
    for (int i = 0; i < reports.get(0).variables().size(); i++) {
      int index = i;
      String name = reports.get(0).variables().get(i).name();
      double sum =
          reports.stream()
              .map(report -> report.variables().get(index).distributions().orElseThrow())
              .mapToDouble(each -> each.changes().sum())
              .sum();
      double scale = Arrays.stream(before.get(name)).map(Math::abs).sum() + 1;
      assertEquals(
          Arrays.stream(after.get(name)).sum() - Arrays.stream(before.get(name)).sum(),
          sum,
          1e-5 * scale,
          name);
    }
  }

  @Test
  void reportsEverySoManyStepsAndOfTheStepsBetween() throws IOException {
    Reports each = new Reports();
    job(BATCH_SIZE).logVariables(VariableDetail.SUMMARY).logEvery(1).build().run(each);
    Reports some = new Reports();
    job(BATCH_SIZE).logVariables(VariableDetail.SCALARS).logEvery(8).build().run(some);
    assertEquals(List.of(1L, 8L, 16L), some.steps());
    boolean clippedNowAndThen = false;
    int before = 0;
    for (UpdateReport report : some.all) {
      for (int i = 0; i < report.variables().size(); i++) {
        int index = i;
        double share =
            each.all.subList(before, (int) report.step()).stream()
                .mapToDouble(step -> step.variables().get(index).clipped())
                .average()
                .orElseThrow();
        UpdateReport.Variable variable = report.variables().get(i);
        assertEquals(share, variable.clipped(), 1e-12);
        assertEquals(
            each.all.get((int) report.step() - 1).variables().get(i).alpha(), variable.alpha());
        assertFalse(variable.distributions().isPresent());
        clippedNowAndThen |= share > 0 && share < 1;
      }
      before = (int) report.step();
    }
    assertTrue(clippedNowAndThen);
  }

  @Test
  void goesOnWithTheStepsOfAResumedJob() throws IOException {
    FineTuning.Builder job =
        job(BATCH_SIZE)
            .logVariables(VariableDetail.SCALARS)
            .logEvery(5)
            .checkpoint(folder.resolve("checkpoints"))
            .resume();
    StopRequest stop = new StopRequest();
    Reports before = new Reports();
    job.build()
        .run(
            stop,
            before,
            new TrainingListener() {
              @Override
              public void stepped(Step step) {
                if (step.number() == 8) {
                  stop.stop();
                }
              }
            });
    Reports after = new Reports();
    job.build().run(after);
    assertEquals(List.of(1L, 5L), before.steps());
    assertEquals(List.of(10L, 15L, 20L), after.steps());
    Reports whole = new Reports();
    job(BATCH_SIZE).logVariables(VariableDetail.SCALARS).logEvery(5).build().run(whole);
    // The first is of the steps since the job was resumed.
    assertEquals(whole.all.subList(3, 5), after.all.subList(1, 3));
  }

  @Test
  void tellsOfAJobThatIsShorterThanTheSteps() throws IOException {
    Reports reports = new Reports();
    job(BATCH_SIZE)
        .logVariables(VariableDetail.HISTOGRAMS)
        .logEvery(STEPS + 1)
        .build()
        .run(reports);
    assertEquals(List.of(1L), reports.steps());
    assertTrue(reports.all.get(0).variables().get(0).distributions().isPresent());
  }
}
