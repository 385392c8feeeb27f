package dev.adafactor.parity;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a case file holds.
 *
 * @param versions with what it was recorded, by name: {@code tf}, {@code tf_keras}, {@code numpy};
 *     in the file's order, and only as complete as the file is
 * @param cases at least one
 */
public record Recording(Map<String, String> versions, List<Case> cases) {
  /** Keeps copies. */
  public Recording {
    versions = Collections.unmodifiableMap(new LinkedHashMap<>(versions));
    cases = List.copyOf(cases);
  }
}
