package dev.adafactor.cli;

import dev.adafactor.checkpoint.Restored;
import dev.adafactor.files.FirstFew;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.TrainingListener;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** Tells the user how training goes: what is done, and a line for each epoch. */
class TrainingDisplay implements TrainingListener, AutoCloseable {
  private static final long NANOS_BETWEEN_REPORTS = 10_000_000_000L;
  private static final int NAMES_SHOWN = 5;

  private final PrintWriter out;
  private Plan plan;
  private long start;
  private long examples;

  /** Steps that another run had done. */
  private long before;

  private double learningRate;

  /** Of how far the check of the data is, or its beginning. */
  private long lastReport;

  TrainingDisplay(PrintWriter out) {
    this.out = out;
  }

  @Override
  public void checking(String what, long row, long rows) {
    long now = System.nanoTime();
    long percent = 100 * row / rows;
    if (row == 0) {
      lastReport = now;
    } else if (percent > 0 && now - lastReport > NANOS_BETWEEN_REPORTS) {
      lastReport = now;
      print("Checking %s: %d%%".formatted(what, percent));
    }
  }

  @Override
  public void planned(Plan newPlan) {
    plan = newPlan;
    start = System.nanoTime();
    print(
        "Mode: %s (%s)".formatted(plan.mode().name().toLowerCase(Locale.ROOT), plan.modeReason()));
    print(
        "Training %d variables%s%s on %,d examples: %d x %,d steps"
            .formatted(
                plan.trainableVariables(),
                plan.unusedVariables() == 0
                    ? ""
                    : ", %d without a part in the loss,".formatted(plan.unusedVariables()),
                plan.frozenVariables() == 0 ? "" : ", %d frozen,".formatted(plan.frozenVariables()),
                plan.examples(),
                plan.epochs(),
                plan.stepsPerEpoch()));
  }

  @Override
  public void resumed(Path checkpoint, long steps) {
    before = steps;
    print("Going on from '%s': %,d steps are done".formatted(checkpoint, steps));
  }

  @Override
  public void begunAnew() {
    print("There is no checkpoint to go on from: beginning with the first step");
  }

  @Override
  public void restored(Restored restored) {
    print(
        "Beginning with '%s': %s, %s"
            .formatted(
                Printable.of(restored.checkpoint().toString()),
                counted(restored.variables(), "variable"),
                restored.iterations().isPresent()
                    ? "the optimizer's state of %s after %,d steps"
                        .formatted(
                            counted(restored.states(), "variable"),
                            restored.iterations().getAsLong())
                    : "no state of the optimizer, which begins anew"));
    restored
        .learningRate()
        .ifPresent(rate -> print("Learning rate: %s, as it is there".formatted((float) rate)));
    if (!restored.left().isEmpty()) {
      print("Left as they are, for want of their like: " + shortened(restored.left()));
    }
    if (!restored.unused().isEmpty()) {
      print("In it, and of no use here: " + shortened(restored.unused()));
    }
  }

  private static String counted(int number, String of) {
    return "%,d %s%s".formatted(number, of, number == 1 ? "" : "s");
  }

  private static String shortened(List<String> names) {
    return FirstFew.of(names.stream().map(Printable::of).toList(), NAMES_SHOWN).asNames();
  }

  @Override
  public void evaluatedBefore(Evaluation evaluation) {
    print("Before: " + describe(evaluation));
    start = System.nanoTime();
  }

  @Override
  public void stepped(Step step) {
    examples += step.examples();
    learningRate = step.learningRate();
  }

  @Override
  public void epochEnded(Epoch epoch) {
    print(
        "Epoch %d/%d: loss %.4f%s%s, rate %s, %,.0f examples/s, %s left"
            .formatted(
                epoch.number(),
                plan.epochs(),
                epoch.training().loss(),
                accuracy(epoch.training()),
                epoch.validation().map(TrainingDisplay::validation).orElse(""),
                rate(learningRate),
                examplesPerSecond(),
                minutes(left((long) epoch.number() * plan.stepsPerEpoch()))));
  }

  /** In three digits, but for the end of a decay: 0, not rounded. */
  static String rate(double rate) {
    return rate == 0 ? "0" : "%.3g".formatted(rate);
  }

  private static String validation(Evaluation evaluation) {
    return ", validation loss %.4f%s".formatted(evaluation.loss(), accuracy(evaluation));
  }

  @Override
  public void evaluatedAfter(Evaluation evaluation) {
    print("After: " + describe(evaluation));
  }

  /** Leaves the terminal as it was. */
  @Override
  public void close() {}

  /** Of all steps so far. */
  final double examplesPerSecond() {
    return examples / (elapsed().toNanos() / 1e9);
  }

  final Plan plan() {
    return plan;
  }

  /** The time that is left when so many steps have been done. */
  final Duration left(long done) {
    long all = (long) plan.epochs() * plan.stepsPerEpoch();
    return elapsed().multipliedBy(all - done).dividedBy(Math.max(1, done - before));
  }

  static String minutes(Duration time) {
    return "%d:%02d".formatted(time.toMinutes(), time.toSecondsPart());
  }

  private Duration elapsed() {
    return Duration.ofNanos(System.nanoTime() - start);
  }

  static String describe(Evaluation evaluation) {
    return "loss %.4f%s on %,d validation examples"
        .formatted(evaluation.loss(), accuracy(evaluation), evaluation.examples());
  }

  private static String accuracy(Evaluation evaluation) {
    return evaluation.accuracy().isEmpty()
        ? ""
        : ", accuracy %.2f%%".formatted(100 * evaluation.accuracy().getAsDouble());
  }

  private void print(String line) {
    out.println(line);
    out.flush();
  }
}
