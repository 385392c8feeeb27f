package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The interfaces of the network that a test has of its own. */
public final class Interfaces {
  private Interfaces() {}

  /** Adds one that leads nowhere, and sets it up. */
  public static void add(String name, String... addresses)
      throws IOException, InterruptedException {
    ip("link", "add", name, "type", "veth", "peer", "name", name + "-end");
    for (String address : addresses) {
      ip("address", "add", address, "dev", name);
    }
    // No addresses of IPv6, which come by themselves and late.
    ip("link", "set", name, "addrgenmode", "none");
    ip("link", "set", name, "up");
  }

  /** Cuts all connections within the network, or lets them be made again. */
  public static void setLoopback(String state) throws IOException, InterruptedException {
    ip("link", "set", "lo", state);
  }

  private static void ip(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("ip"));
    command.addAll(List.of(arguments));
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor(), command::toString);
  }
}
