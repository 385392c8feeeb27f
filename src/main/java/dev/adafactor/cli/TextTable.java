package dev.adafactor.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Rows of text whose columns are aligned: numbers to the right, words to the left. */
final class TextTable {
  private static final String GAP = "  ";
  private static final int LEAST_WIDTH = 20;

  private final List<List<String>> rows = new ArrayList<>();
  private final int columns;

  /** A table with a line of headings, unless all of them are empty. */
  TextTable(String... headings) {
    columns = headings.length;
    List<String> row = List.of(headings);
    if (!String.join("", row).isEmpty()) {
      rows.add(row);
    }
  }

  void add(List<String> row) {
    rows.add(row.stream().map(Printable::of).toList());
  }

  /** The table in lines of at most a width, for which the first column is shortened. */
  String text(int width) {
    int[] widths =
        IntStream.range(0, columns)
            .map(i -> rows.stream().mapToInt(row -> row.get(i).length()).max().orElse(0))
            .toArray();
    int others = IntStream.of(widths).skip(1).map(w -> w + GAP.length()).sum();
    widths[0] = Math.min(widths[0], Math.max(LEAST_WIDTH, width - others));
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < columns; i++) {
        String cell = shortened(row.get(i), widths[i]);
        String padding = " ".repeat(widths[i] - cell.length());
        line.append(i == 0 ? "" : GAP);
        line.append(isNumeric(i) ? padding + cell : cell + padding);
      }
      text.append(line.toString().stripTrailing()).append(System.lineSeparator());
    }
    return text.toString();
  }

  private boolean isNumeric(int column) {
    return rows.stream().skip(1).allMatch(row -> row.get(column).matches("[\\d,]*"))
        && rows.stream().anyMatch(row -> row.get(column).matches("[\\d,]+"));
  }

  /** The ends of a name tell more than its middle. */
  private static String shortened(String cell, int width) {
    if (cell.length() <= width) {
      return cell;
    }
    int end = (width - 1) / 2;
    return cell.substring(0, width - 1 - end) + "…" + cell.substring(cell.length() - end);
  }
}
