package dev.adafactor.cli;

import dev.adafactor.checkpoint.SavedState.Item;
import dev.adafactor.checkpoint.SavedState.Part;
import dev.adafactor.files.FirstFew;
import dev.adafactor.parity.Deviation;
import dev.adafactor.parity.JobBound;
import dev.adafactor.parity.JobComparison;
import dev.adafactor.parity.JobComparison.Finding;
import dev.adafactor.parity.JobComparison.Judgement;
import dev.adafactor.parity.JobComparison.LossPair;
import dev.adafactor.parity.Tally;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How a job compares with the same job in Python, for people. */
final class JobComparisonText {
  private static final int WIDTH = 100;
  private static final int MOST_VARIABLES = 12;
  private static final int MOST_NAMES = 5;

  private JobComparisonText() {}

  static void print(JobComparison comparison, PrintWriter out) {
    int steps = comparison.losses().size();
    out.printf(
        "Compared: the losses of %d steps, the state after %d of them%n%n",
        steps, comparison.moments().stream().map(m -> m.step()).distinct().count());
    out.print(quantities(comparison));
    out.println();
    out.print(variables(comparison.worst(Part.VARIABLE)));
    out.println();
    comparison
        .firstDifference()
        .ifPresentOrElse(
            first -> out.printf("The first other bits: %s%n", describe(first)),
            () -> out.printf("All bits of the state are the same%n"));
    out.println(verdict(comparison));
  }

  private static String quantities(JobComparison comparison) {
    TextTable table =
        new TextTable("what", "elements", "other bits", "worst ulp", "of its scale", "of its way");
    comparison
        .worstLoss()
        .ifPresent(
            worst ->
                table.add(
                    List.of(
                        "loss",
                        "%,d".formatted(comparison.losses().size()),
                        "%,d"
                            .formatted(
                                comparison.losses().stream()
                                    .filter(loss -> loss.apart() != 0)
                                    .count()),
                        "",
                        "%.1e".formatted(relative(worst)),
                        "")));
    for (Map.Entry<Part, Tally> entry : comparison.tallies().entrySet()) {
      Tally tally = entry.getValue();
      boolean moves = entry.getKey() == Part.VARIABLE || entry.getKey() == Part.AVERAGE;
      double ofWay =
          comparison.worst(entry.getKey()).stream()
              .filter(found -> found.judgement() != Judgement.UNDETERMINED)
              .mapToDouble(found -> found.deviation().ofWay())
              .max()
              .orElse(0);
      table.add(
          List.of(
              label(entry.getKey()),
              "%,d".formatted(tally.elements()),
              "%,d".formatted(tally.different()),
              tally.ulps() == Long.MAX_VALUE ? "infinite" : "%,d".formatted(tally.ulps()),
              "%.1e".formatted(tally.relative()),
              moves ? percent(ofWay) : ""));
    }
    return table.text(WIDTH);
  }

  private static double relative(LossPair loss) {
    return loss.apart() == 0 ? 0 : loss.apart() / loss.scale();
  }

  private static String variables(List<Finding> worst) {
    TextTable table = new TextTable("variable", "worst after step", "of its way", "");
    worst.stream()
        .limit(MOST_VARIABLES)
        .forEach(
            found ->
                table.add(
                    List.of(
                        found.deviation().item().variable(),
                        "%,d".formatted(found.deviation().step()),
                        percent(found.deviation().ofWay()),
                        remark(found))));
    String text = table.text(WIDTH);
    return worst.size() <= MOST_VARIABLES
        ? text
        : text + "and %d variables that are nearer%n".formatted(worst.size() - MOST_VARIABLES);
  }

  private static String remark(Finding found) {
    return switch (found.judgement()) {
      case SAME -> "";
      case UNDETERMINED ->
          "by rounding alone; tf_keras itself: "
              + percent(found.noise() / found.deviation().moved());
      case NOT_COMPARABLE -> "not finite in tf_keras";
      case APART -> "APART";
    };
  }

  private static String percent(double part) {
    return part == 0 ? "0" : "%.2g%%".formatted(100 * part);
  }

  private static String label(Part part) {
    return switch (part) {
      case VARIABLE -> "variables";
      case R -> "r";
      case C -> "c";
      case V -> "v";
      case AVERAGE -> "averages";
      case ITERATIONS -> "steps done";
      case LEARNING_RATE -> "learning rate";
    };
  }

  private static String describe(Deviation deviation) {
    Item item = deviation.item();
    String what =
        switch (item.part()) {
          case VARIABLE -> "the variable " + item.variable();
          case AVERAGE -> "the average of " + item.variable();
          case R, C, V -> label(item.part()) + " of " + item.variable();
          case ITERATIONS -> "the number of steps done";
          case LEARNING_RATE -> "the learning rate";
        };
    return "after step %d, %s".formatted(deviation.step(), what);
  }

  /** What is allowed. */
  static String bounds() {
    return ("differences of at most %s of the way that tf_keras moves a variable and %.0e of the"
            + " loss, or %.0f times as far as tf_keras parts from itself by rounding")
        .formatted(percent(JobBound.OF_WAY), JobBound.OF_LOSS, JobBound.OF_NOISE);
  }

  /** In one line. */
  static String verdict(JobComparison comparison) {
    String bounds = "allowed: " + bounds();
    return switch (comparison.judgement()) {
      case SAME -> "Java trains as tf_keras does (%s)".formatted(bounds);
      case UNDETERMINED ->
          "Java trains as tf_keras does, but for what nothing but rounding decides: %s (%s)"
              .formatted(names(comparison, Judgement.UNDETERMINED), bounds);
      case NOT_COMPARABLE ->
          ("NOT COMPARABLE: tf_keras's own numbers are not finite from step %d on. Its operations"
                  + " give NaN where the squares of small gradients meet; with --epsilon-1 1e-16"
                  + " both sides stay finite")
              .formatted(comparison.firstNotFinite().orElseThrow());
      case APART ->
          "NOT AS TF_KERAS: %s (%s)"
              .formatted(
                  comparison
                      .firstParting()
                      .map(first -> "they part " + describe(first))
                      .or(() -> firstLoss(comparison))
                      .orElse("they part"),
                  bounds);
    };
  }

  private static Optional<String> firstLoss(JobComparison comparison) {
    return comparison.losses().stream()
        .filter(loss -> loss.judgement() == Judgement.APART)
        .findFirst()
        .map(
            loss ->
                "the loss of step %d is %s in place of %s"
                    .formatted(loss.step(), loss.computed(), loss.recorded()));
  }

  private static String names(JobComparison comparison, Judgement judgement) {
    List<String> names =
        comparison.worst(Part.VARIABLE).stream()
            .filter(found -> found.judgement() == judgement)
            .map(found -> found.deviation().item().variable())
            .toList();
    return names.isEmpty()
        ? "the losses or the optimizer's state"
        : FirstFew.of(names, MOST_NAMES).asNames();
  }
}
