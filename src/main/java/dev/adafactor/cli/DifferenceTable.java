package dev.adafactor.cli;

import dev.adafactor.parity.Quantity;
import dev.adafactor.parity.Tally;
import java.util.Locale;
import java.util.Map;

/** The worst differences for people: one line for each quantity. */
final class DifferenceTable {
  private static final String HEADINGS = "%-8s %12s %12s %12s %12s %12s %14s%n";

  private DifferenceTable() {}

  static String of(Map<Quantity, Tally> tallies) {
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(
            HEADINGS, "", "", "not finite", "other", "worst", "relative", "ulp of scale"));
    table.append(
        String.format(
            HEADINGS,
            "quantity",
            "elements",
            "in tf_keras",
            "bits",
            "ulp",
            "to scale",
            "for each step"));
    tallies.forEach(
        (quantity, tally) ->
            table.append(
                String.format(
                    Locale.ROOT,
                    "%-8s %12d %12d %12d %12s %12.2e %14.3g%n",
                    quantity.label(),
                    tally.elements(),
                    tally.notFinite(),
                    tally.different(),
                    tally.ulps() == Long.MAX_VALUE ? "infinite" : tally.ulps(),
                    tally.relative(),
                    tally.scaleUlps())));
    tallies.values().stream()
        .mapToLong(Tally::otherNaN)
        .reduce(Long::sum)
        .ifPresent(
            count -> {
              if (count > 0) {
                table.append(String.format("%d pairs of NaN differ in their payload%n", count));
              }
            });
    return table.toString();
  }
}
