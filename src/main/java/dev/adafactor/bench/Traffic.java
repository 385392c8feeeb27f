package dev.adafactor.bench;

import java.util.Map;
import java.util.TreeMap;

/**
 * Bytes that devices send each other. Where they are of one process a tensor is handed over as it
 * is; it counts as if it were sent.
 *
 * @param bytes between each two that send anything but signals
 */
record Traffic(Map<Link, Long> bytes) {

  /**
   * From one device to another, by their places in the mesh.
   *
   * @param from which one sends
   * @param to which one receives
   */
  record Link(int from, int to) implements Comparable<Link> {
    @Override
    public int compareTo(Link other) {
      return from == other.from ? Integer.compare(to, other.to) : Integer.compare(from, other.from);
    }
  }

  Traffic {
    Map<Link, Long> some = new TreeMap<>(bytes);
    some.values().removeIf(each -> each == 0);
    bytes = some;
  }

  /** Of all devices together. */
  long total() {
    return bytes.values().stream().mapToLong(Long::longValue).sum();
  }

  long sentBy(int device) {
    return bytes.entrySet().stream()
        .filter(each -> each.getKey().from() == device)
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  long receivedBy(int device) {
    return bytes.entrySet().stream()
        .filter(each -> each.getKey().to() == device)
        .mapToLong(Map.Entry::getValue)
        .sum();
  }
}
