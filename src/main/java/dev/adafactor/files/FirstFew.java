package dev.adafactor.files;

import java.util.List;
import java.util.Locale;

/**
 * The first few of a list, and how many more there are: for messages of one line.
 *
 * @param shown the first few
 * @param more how many are left out
 */
public record FirstFew(List<String> shown, int more) {

  /**
   * Shortens a list.
   *
   * @param most how many are shown, 1 or more
   */
  public static FirstFew of(List<?> all, int most) {
    List<String> shown = all.stream().limit(most).map(String::valueOf).toList();
    return new FirstFew(shown, all.size() - shown.size());
  }

  /** As {@code a, b and 3 more}. */
  public String asNames() {
    return String.join(", ", shown) + rest();
  }

  /** As {@code [a, b] and 3 more}. */
  public String asList() {
    return shown + rest();
  }

  private String rest() {
    return more == 0 ? "" : " and " + count();
  }

  /** As {@code a; b (and 3 more)}. */
  public String asClauses() {
    return String.join("; ", shown) + (more == 0 ? "" : " (and " + count() + ")");
  }

  private String count() {
    return String.format(Locale.ROOT, "%,d more", more);
  }
}
