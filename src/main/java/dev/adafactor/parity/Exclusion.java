package dev.adafactor.parity;

import java.util.List;

/** Which variables weight decay leaves alone. */
public sealed interface Exclusion {

  /** None of them. */
  record None() implements Exclusion {}

  /**
   * Those in whose name a regular expression is found.
   *
   * @param regexes the regular expressions
   */
  record ByName(List<String> regexes) implements Exclusion {
    /** Keeps a copy. */
    public ByName {
      regexes = List.copyOf(regexes);
    }
  }

  /**
   * Those at certain places in the case's list.
   *
   * @param indices the places, counted from 0
   */
  record ByVariable(List<Integer> indices) implements Exclusion {
    /** Keeps a copy. */
    public ByVariable {
      indices = List.copyOf(indices);
    }
  }
}
