package dev.adafactor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Which variables are updated together, as one tensor with one more axis. */
final class Stacks {

  private Stacks() {}

  /**
   * Groups what is alike; the groups come in the order of their first members.
   *
   * @param kind what members of a group have in common; empty for what stays alone
   * @param most the most members that a group of a kind may have
   */
  static <T, K> List<List<T>> of(
      List<T> items, Function<T, Optional<K>> kind, Function<K, Long> most) {
    List<List<T>> groups = new ArrayList<>();
    Map<K, List<T>> open = new LinkedHashMap<>();
    for (T item : items) {
      Optional<K> key = kind.apply(item);
      List<T> group = key.map(open::get).orElse(null);
      if (group == null || group.size() >= most.apply(key.get())) {
        group = new ArrayList<>();
        groups.add(group);
        if (key.isPresent()) {
          open.put(key.get(), group);
        }
      }
      group.add(item);
    }
    return groups;
  }
}
