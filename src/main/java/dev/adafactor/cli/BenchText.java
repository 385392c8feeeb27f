package dev.adafactor.cli;

import dev.adafactor.bench.Distribution;
import dev.adafactor.bench.Facts;
import dev.adafactor.bench.Report;
import dev.adafactor.bench.Run;
import dev.adafactor.bench.Spread;
import dev.adafactor.bench.StepProfile;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What a benchmark has measured, for people. */
final class BenchText {
  private static final int WIDTH = 120;
  private static final int KINDS = 20;

  private BenchText() {}

  static String of(Report report) {
    TextTable table =
        new TextTable(
            "",
            "median ms",
            "quartiles",
            "min",
            "ratio",
            "quartiles",
            "state bytes",
            "transient bytes",
            "operations",
            "build ms",
            "first step ms");
    add(table, "adafactor", report.own(), Optional.empty());
    for (Run peer : report.peers()) {
      add(table, peer.peer().orElseThrow().label(), peer, Optional.of(report.own()));
    }
    StringBuilder text = new StringBuilder();
    text.append(
        "%s: %,d variables, %,d parameters of %s, %d threads; ratio: time of adafactor / time of the peer%n%n"
            .formatted(
                report.workload().shapes().name(),
                report.workload().shapes().parameters().size(),
                report.workload().shapes().elements(),
                report.workload().type().label(),
                report.workload().threads()));
    text.append(table.text(WIDTH));
    report
        .own()
        .facts()
        .compiled()
        .filter(compiled -> compiled.calls() > 0)
        .ifPresent(
            compiled ->
                text.append(
                    "XLA: %,d compiled programs, called %,d times in a step%n"
                        .formatted(compiled.programs(), compiled.calls())));
    report.distribution().ifPresent(distribution -> text.append(of(distribution)));
    return text.toString();
  }

  private static String of(Distribution distribution) {
    TextTable table = new TextTable("device", "state bytes", "sent bytes", "received bytes");
    for (Distribution.Device each : distribution.devices()) {
      table.add(
          List.of(
              each.name(),
              "%,d".formatted(each.stateBytes()),
              "%,d".formatted(each.sentBytes()),
              "%,d".formatted(each.receivedBytes())));
    }
    return """

        mesh %s: in a step its devices send each other %,d bytes (%,d by the layouts): %,d tensors
        and %,d signals that something is done; up to %,d transfers wait each for the one before

        %s"""
        .formatted(
            distribution.mesh(),
            distribution.sentBytes(),
            distribution.computedBytes(),
            distribution.tensors(),
            distribution.signals(),
            distribution.chain(),
            table.text(WIDTH));
  }

  private static void add(TextTable table, String name, Run run, Optional<Run> own) {
    Facts facts = run.facts();
    Spread step = run.step();
    List<String> row = new ArrayList<>();
    row.add(name);
    row.add(millis(step.median()));
    row.add(millis(step.lowerQuartile()) + "–" + millis(step.upperQuartile()));
    row.add(millis(step.least()));
    row.add(own.map(ours -> "%.2f".formatted(ours.step().median() / step.median())).orElse(""));
    row.add(
        own.map(ours -> ours.ratioTo(run))
            .map(ratio -> "%.2f–%.2f".formatted(ratio.lowerQuartile(), ratio.upperQuartile()))
            .orElse(""));
    row.add("%,d".formatted(facts.stateBytes()));
    row.add(
        facts.peakTransientBytes().isPresent()
            ? "%,d".formatted(facts.peakTransientBytes().getAsLong())
            : "");
    row.add(facts.operations().isPresent() ? "%,d".formatted(facts.operations().getAsInt()) : "");
    row.add("%,.0f".formatted(facts.buildMillis()));
    row.add("%,.0f".formatted(facts.firstStepMillis()));
    table.add(row);
  }

  private static String millis(double millis) {
    return millis < 100 ? "%.2f".formatted(millis) : "%.0f".formatted(millis);
  }

  /** Where the time of a step goes: operations that run at the same time count each. */
  static String of(StepProfile profile) {
    TextTable table = new TextTable("operation", "count", "ms", "allocated bytes");
    profile.operations().stream()
        .limit(KINDS)
        .forEach(
            kind ->
                table.add(
                    List.of(
                        kind.type(),
                        "%,d".formatted(kind.count()),
                        "%.3f".formatted(kind.millis()),
                        "%,d".formatted(kind.allocatedBytes()))));
    return table.text(WIDTH);
  }
}
