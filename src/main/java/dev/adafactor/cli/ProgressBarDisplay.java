package dev.adafactor.cli;

import dev.adafactor.finetune.Evaluation;
import java.io.PrintWriter;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A bar in place of the lines for epochs. For terminals only. */
final class ProgressBarDisplay extends TrainingDisplay {
  private ProgressBar bar;

  ProgressBarDisplay(PrintWriter out) {
    super(out);
  }

  @Override
  public void stepped(Step step) {
    super.stepped(step);
    if (bar == null) {
      bar =
          new ProgressBarBuilder()
              .setTaskName("Training")
              .setInitialMax((long) plan().epochs() * plan().stepsPerEpoch())
              .setStyle(ProgressBarStyle.COLORFUL_UNICODE_BLOCK)
              .setConsumer(new ConsoleProgressBarConsumer(System.out))
              .continuousUpdate()
              .build();
    }
    String accuracy =
        step.accuracy().isEmpty()
            ? ""
            : " accuracy %.1f%%".formatted(100 * step.accuracy().getAsDouble());
    bar.setExtraMessage(
        " loss %.4f%s rate %.3g %,.0f examples/s"
            .formatted(step.loss(), accuracy, step.learningRate(), examplesPerSecond()));
    bar.stepTo(step.number());
  }

  @Override
  public void epochEnded(int epoch, Evaluation training) {
    if (epoch == plan().epochs()) {
      close();
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
