package dev.adafactor.mesh;

import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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

  private static final Pattern UP = Pattern.compile("\\d+\\s+(\\S+)");

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
   * The interfaces of this host that are up or have addresses, other than loopback. One that is
   * down, or has no carrier, may be up a moment later; one without an address may be given one.
   */
  static List<String> openInterfaces() throws IOException {
    SortedMap<String, String> open = new TreeMap<>();
    for (NetworkInterface each : NetworkInterface.networkInterfaces().toList()) {
      if (!isLoopback(each)) {
        open.put(each.getName(), addresses(each));
      }
    }
    upInLinux().forEach(name -> open.putIfAbsent(name, ""));
    return open.entrySet().stream().map(each -> each.getKey() + each.getValue()).toList();
  }

  private static boolean isLoopback(NetworkInterface each) {
    try {
      return each.isLoopback();
    } catch (SocketException e) {
      return false; // What cannot be told is taken for the worse.
    }
  }

  private static String addresses(NetworkInterface open) {
    return open.inetAddresses()
        .map(InetAddress::getHostAddress)
        .map(address -> address.replaceFirst("%.*", ""))
        .collect(Collectors.joining(", ", " (", ")"));
  }

  /**
   * Java tells nothing of interfaces without an address, nor of those with addresses of IPv6 alone
   * where it is to prefer IPv4. Linux has every interface that is up in multicast groups. Its other
   * list, of sysfs, may be that of another network namespace.
   */
  private static Set<String> upInLinux() throws IOException {
    Set<String> names = new TreeSet<>();
    Path groups = Path.of("/proc/self/net/igmp");
    Path addresses = Path.of("/proc/self/net/if_inet6");
    if (Files.exists(groups)) {
      // 2	eth0      :     1      V3
      Files.readAllLines(groups).stream()
          .map(UP::matcher)
          .filter(Matcher::lookingAt)
          .map(found -> found.group(1))
          .forEach(names::add);
    }
    if (Files.exists(addresses)) {
      // fe800000000000004001a8fffe000002 02 40 20 80     eth0
      Files.readAllLines(addresses).stream()
          .map(line -> line.substring(line.lastIndexOf(' ') + 1))
          .forEach(names::add);
    }
    names.remove("lo");
    return names;
  }
}
