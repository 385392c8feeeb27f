package dev.adafactor.cli;

import dev.adafactor.finetune.Evaluation;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;

/** A bar in place of the lines for epochs. For terminals only. */
final class ProgressBarDisplay extends TrainingDisplay {
  private final Line line;
  private Optional<ProgressBar> bar = Optional.empty();

  /** The loss on the validation data at the end of the last epoch, in words. */
  private String validation = "";

  ProgressBarDisplay(PrintWriter out, ProgressBarConsumer terminal) {
    super(out);
    this.line = new Line(terminal);
  }

  @Override
  public void stepped(Step step) {
    super.stepped(step);
    long steps = (long) plan().epochs() * plan().stepsPerEpoch();
    if (bar.isEmpty()) {
      bar =
          Optional.of(
              new ProgressBarBuilder()
                  .setTaskName("Training")
                  .setInitialMax(steps)
                  .setConsumer(line)
                  .setRenderer(
                      (state, width) ->
                          line(state.getNormalizedProgress(), state.getExtraMessage(), width))
                  .continuousUpdate()
                  .build());
    }
    bar.get().setExtraMessage(numbers(step, left(step.number())));
    bar.get().stepTo(step.number());
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

  /** The numbers, and a bar in the room that they leave. */
  static String line(double progress, String numbers, int width) {
    String percent = "%3.0f%% ".formatted(100 * progress);
    int room = Math.max(0, width - percent.length() - numbers.length() - 1);
    int done = (int) Math.round(progress * room);
    String line = percent + "\u2588".repeat(done) + "\u2591".repeat(room - done) + " " + numbers;
    return line.substring(0, Math.min(width, line.length()));
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
    bar.ifPresent(ProgressBar::close);
    if (bar.isPresent() && !line.ended) {
      line.close(); // A bar that is closed before it was first drawn leaves its line open.
    }
    bar = Optional.empty();
  }

  /** The terminal, and whether the bar has ended its line there. */
  private static final class Line implements ProgressBarConsumer {
    private final ProgressBarConsumer terminal;
    private volatile boolean ended;

    Line(ProgressBarConsumer terminal) {
      this.terminal = terminal;
    }

    @Override
    public int getMaxRenderedLength() {
      return terminal.getMaxRenderedLength();
    }

    @Override
    public void accept(String bar) {
      terminal.accept(bar);
    }

    @Override
    public void clear() {
      terminal.clear();
    }

    @Override
    public void close() {
      terminal.close();
      ended = true;
    }
  }
}
