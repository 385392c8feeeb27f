package dev.adafactor.cli;

import dev.adafactor.finetune.Evaluation;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBarConsumer;

/** A bar in place of the lines for epochs. For terminals only. */
final class ProgressBarDisplay extends TrainingDisplay {
  private final ProgressBarConsumer terminal;
  private Optional<StepBar> bar = Optional.empty();

  /** The loss on the validation data at the end of the last epoch, in words. */
  private String validation = "";

  ProgressBarDisplay(PrintWriter out, ProgressBarConsumer terminal) {
    super(out);
    this.terminal = terminal;
  }

  @Override
  public void stepped(Step step) {
    super.stepped(step);
    long steps = (long) plan().epochs() * plan().stepsPerEpoch();
    if (bar.isEmpty()) {
      bar = Optional.of(new StepBar("Training", steps, terminal));
    }
    bar.get().stepTo(step.number(), numbers(step, left(step.number())));
  }

  private String numbers(Step step, Duration left) {
    String accuracy =
        step.accuracy().isEmpty()
            ? ""
            : " accuracy %.1f%%".formatted(100 * step.accuracy().getAsDouble());
    return "loss %.4g%s%s rate %s %,.0f examples/s %s left"
        .formatted(
            step.loss(),
            accuracy,
            validation,
            rate(step.learningRate()),
            examplesPerSecond(),
            minutes(left));
  }

  @Override
  public void epochEnded(Epoch epoch) {
    validation =
        epoch.validation().map(now -> " val. %.4g".formatted(now.loss())).orElse(validation);
    if (epoch.number() == plan().epochs()) {
      close();
    }
  }

  @Override
  public void evaluatedAfter(Evaluation evaluation) {
    close(); // Training may have ended before its last epoch.
    super.evaluatedAfter(evaluation);
  }

  @Override
  public void close() {
    // A bar that is closed twice is drawn twice.
    bar.ifPresent(StepBar::close);
    bar = Optional.empty();
  }
}
