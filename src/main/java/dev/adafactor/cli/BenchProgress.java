package dev.adafactor.cli;

import dev.adafactor.bench.Benchmark;
import dev.adafactor.bench.Report;
import java.io.PrintWriter;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import picocli.CommandLine;

/** Says who is left out of a benchmark, and shows on a terminal how far it is. */
final class BenchProgress implements Benchmark.Listener, AutoCloseable {
  private final PrintWriter out;
  private final Optional<ProgressBar> bar;

  BenchProgress(int turns, PrintWriter out) {
    this.out = out;
    this.bar =
        CommandLine.Help.Ansi.AUTO.enabled()
            ? Optional.of(new ProgressBar("bench", turns))
            : Optional.empty();
  }

  @Override
  public void done() {
    bar.ifPresent(ProgressBar::step);
  }

  @Override
  public void leftOut(Report.LeftOut left) {
    out.printf("%s is left out: %s%n", left.peer().label(), Printable.of(left.reason()));
    out.flush();
  }

  @Override
  public void close() {
    bar.ifPresent(ProgressBar::close);
  }
}
