package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
  void findsInterfacesThatAreUp() throws Exception {
    assertEquals(List.of(), Exposure.openInterfaces());
    Interfaces.add("other", "10.9.8.7");
    assertEquals(List.of("other (10.9.8.7)"), Exposure.openInterfaces());
  }
}
