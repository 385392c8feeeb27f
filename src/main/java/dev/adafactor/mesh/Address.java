package dev.adafactor.mesh;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a server listens.
 *
 * @param host a name or a number, that of IPv6 without its brackets
 * @param port 1 to 65535
 */
record Address(String host, int port) {
  private static final int LAST_PORT = 65535;

  private static final Pattern FORM =
      Pattern.compile(
          "(?:\\[(?<number>[^\\[\\]]*)\\]|(?<name>[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?))"
              + ":(?<port>\\d{1,5})");

  /**
   * Reads {@code HOST:PORT}.
   *
   * @throws IllegalArgumentException if that is something else; the message names it
   */
  static Address parse(String text) {
    Matcher parts = FORM.matcher(text);
    if (!parts.matches()) {
      throw new IllegalArgumentException(
          "'%s' is no HOST:PORT, such as 10.0.0.1:2222 or [::1]:2222".formatted(text));
    }
    int port = Integer.parseInt(parts.group("port"));
    if (port < 1 || port > LAST_PORT) {
      throw new IllegalArgumentException(
          "'%s': %d is no port; 1 to %d are".formatted(text, port, LAST_PORT));
    }
    String number = parts.group("number");
    if (number == null) {
      return new Address(parts.group("name"), port);
    }
    if (!isNumberOfIpv6(number)) {
      throw new IllegalArgumentException(
          "'%s': '%s' is no number of IPv6, which alone is written in brackets"
              .formatted(text, number));
    }
    return new Address(number, port);
  }

  /** In brackets it is never looked up as a name. */
  private static boolean isNumberOfIpv6(String number) {
    try {
      return InetAddress.getByName("[" + number + "]") instanceof Inet6Address;
    } catch (UnknownHostException e) {
      return false;
    }
  }

  /** As TensorFlow reads it. */
  @Override
  public String toString() {
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
  }
}
