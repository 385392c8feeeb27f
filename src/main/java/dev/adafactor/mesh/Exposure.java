package dev.adafactor.mesh;

import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Who may reach a worker. TensorFlow's servers listen on all interfaces of their host and do what
 * anyone tells them, which includes reading and writing files; there is no option for either.
 */
public enum Exposure {
  /** This host alone: it has no network but loopback. */
  LOOPBACK,

  /** Whoever reaches this host; that something else shuts others out is the caller's word. */
  ALL_INTERFACES;

  /**
   * Refuses a host that others can reach.
   *
   * @param open the interfaces other than loopback, as {@link #openInterfaces} names them
   * @throws IllegalArgumentException if there are any and they are not permitted; the message names
   *     them
   */
  void require(List<String> open) {
    if (this == LOOPBACK && !open.isEmpty()) {
      throw new IllegalArgumentException(
          "TensorFlow's server does what anyone tells it, and it listens on all interfaces of this"
              + " host, also on %s: start it where there is only loopback, or shut it in by a firewall"
                  .formatted(String.join(", ", open))
              + " and permit that by Exposure.ALL_INTERFACES");
    }
  }

  /**
   * The interfaces of this host that have addresses, other than loopback. One that is down, or has
   * no carrier, may be up a moment later.
   */
  static List<String> openInterfaces() throws SocketException {
    return NetworkInterface.networkInterfaces()
        .filter(Exposure::isOpen)
        .map(
            open ->
                open.inetAddresses()
                    .map(InetAddress::getHostAddress)
                    .map(address -> address.replaceFirst("%.*", ""))
                    .collect(Collectors.joining(", ", open.getName() + " (", ")")))
        .toList();
  }

  private static boolean isOpen(NetworkInterface each) {
    try {
      return !each.isLoopback() && each.inetAddresses().findAny().isPresent();
    } catch (SocketException e) {
      return true; // What cannot be told is taken for the worse.
    }
  }
}
