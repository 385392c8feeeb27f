package dev.adafactor.cli;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;

/** A line on a terminal: how many of some steps are done, and some words. */
final class StepBar implements AutoCloseable {
  private final Line line;
  private final ProgressBar bar;

  /**
   * Shows that no step is done.
   *
   * @param name of what is done
   */
  StepBar(String name, long steps, ProgressBarConsumer terminal) {
    line = new Line(terminal);
    bar =
        new ProgressBarBuilder()
            .setTaskName(name)
            .setInitialMax(steps)
            .setConsumer(line)
            .setRenderer(
                (state, width) ->
                    line(state.getNormalizedProgress(), state.getExtraMessage(), width))
            .continuousUpdate()
            .build();
  }

  void stepTo(long done, String words) {
    bar.setExtraMessage(words);
    bar.stepTo(done);
  }

  long steps() {
    return bar.getMax();
  }

  /** The words, and a bar in the room that they leave. */
  static String line(double progress, String words, int width) {
    String percent = "%3.0f%% ".formatted(100 * progress);
    int room = Math.max(0, width - percent.length() - words.length() - 1);
    int done = (int) Math.round(progress * room);
    String line = percent + "\u2588".repeat(done) + "\u2591".repeat(room - done) + " " + words;
    return line.substring(0, Math.min(width, line.length()));
  }

  @Override
  public void close() {
    bar.close();
    if (!line.ended) {
      line.close(); // A bar that is closed before it was first drawn leaves its line open.
    }
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
