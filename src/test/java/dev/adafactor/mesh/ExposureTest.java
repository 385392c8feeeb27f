package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.OwnNetwork;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(OwnNetwork.class)
class ExposureTest {

  @Test
  void namesWhereOthersComeFrom() {
    List<String> open = List.of("eth0 (10.0.0.3)", "wlan0 (fe80::1)");
    String message =
        assertThrows(IllegalArgumentException.class, () -> Exposure.LOOPBACK.require(open))
            .getMessage();
    assertTrue(message.contains("on eth0 (10.0.0.3), wlan0 (fe80::1):"), message);
    assertTrue(message.endsWith(" by Exposure.ALL_INTERFACES"), message);
    Exposure.ALL_INTERFACES.require(open);
    Exposure.LOOPBACK.require(List.of());
  }

  @Test
  void findsInterfacesThatHaveAddresses() throws Exception {
    assertEquals(List.of(), Exposure.openInterfaces());
    Interfaces.add("other", "10.9.8.7");
    assertEquals(List.of("other (10.9.8.7)"), Exposure.openInterfaces());
  }

  /** Java alone does not tell of them. */
  @Test
  void findsInterfacesThatAreUpWithoutAnAddress() throws Exception {
    Interfaces.add("other");
    assertEquals(List.of("other"), Exposure.openInterfaces());
  }

  /** Nor of these, if it is to prefer IPv4. */
  @Test
  void findsInterfacesThatHaveAnAddressOfIpv6() throws Exception {
    Interfaces.add("other", "fd00::9");
    Process process =
        JavaProcess.builder(List.of("-Djava.net.preferIPv4Stack=true"), ExposureTest.class)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertEquals("[other]", process.inputReader().readLine());
    assertEquals(0, process.waitFor());
  }

  /** Prints what is open. */
  public static void main(String[] arguments) throws Exception {
    System.out.println(Exposure.openInterfaces());
  }
}
