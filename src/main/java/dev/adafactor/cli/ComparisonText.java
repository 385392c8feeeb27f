package dev.adafactor.cli;

import dev.adafactor.parity.Comparison;
import java.io.PrintWriter;
import java.util.List;

/** What comes of a comparison, for people at a terminal. */
final class ComparisonText {
  private static final int MOST_REMARKS = 20;
  private static final int LINE_WIDTH = 100;

  private ComparisonText() {}

  static void print(Comparison comparison, PrintWriter out) {
    if (!comparison.tallies().isEmpty()) {
      out.print(DifferenceTable.of(comparison.tallies()));
      out.println();
    }
    out.printf(
        "%d of %d cases are bit-equal to tf_keras%n",
        comparison.bitEqual(), comparison.cases() - comparison.unrecorded().size());
    remarks(out, "not bit-equal; the first difference", comparison.different());
    remarks(out, "beyond what is allowed; the first such difference", comparison.failures());
    remarks(out, "could not run", comparison.errors());
    if (!comparison.unrecorded().isEmpty()) {
      out.printf("%d cases record nothing to compare with%n", comparison.unrecorded().size());
    }
    out.println(comparison.isGood() ? "all is as it should be" : "NOT as it should be");
  }

  private static void remarks(PrintWriter out, String what, List<Comparison.Remark> remarks) {
    if (remarks.isEmpty()) {
      return;
    }
    out.printf("%n%d %s:%n", remarks.size(), what);
    remarks.stream()
        .limit(MOST_REMARKS)
        .forEach(remark -> out.printf("  %s: %s%n", remark.id(), remark.text()));
    if (remarks.size() > MOST_REMARKS) {
      out.println("  and");
      StringBuilder line = new StringBuilder();
      for (Comparison.Remark remark : remarks.subList(MOST_REMARKS, remarks.size())) {
        if (line.length() + remark.id().length() > LINE_WIDTH) {
          out.println(line);
          line.setLength(0);
        }
        line.append("  ").append(remark.id());
      }
      out.println(line);
    }
    out.println();
  }
}
