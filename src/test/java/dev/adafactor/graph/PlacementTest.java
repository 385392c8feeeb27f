package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.DeviceSpec;

class PlacementTest {

  @ParameterizedTest
  @CsvSource({
    "/device:GPU:1, /device:GPU:1",
    "/gpu:0, /device:GPU:0",
    "/cpu, /device:CPU:*",
    "/device:CPU:*, /device:CPU:*",
    "/job:worker/task:2, /job:worker/task:2",
    "/job:localhost/replica:0/task:0/device:TPU:3, /job:localhost/replica:0/task:0/device:TPU:3"
  })
  void readsDevices(String device, String canonical) {
    assertEquals(canonical, Placement.parse(device).map(DeviceSpec::toString).orElseThrow());
  }

  @ParameterizedTest
  @CsvSource({
    "/job:localhost/replica:0/task:0/device:CPU:3, /device:CPU:3",
    "/job:localhost/gpu:0, /device:GPU:0",
    "/replica:0/cpu:1, /device:CPU:1",
    "/job:worker/replica:0/task:1, /job:worker/task:1",
    "/job:worker/task:1/replica:0/cpu:0, ",
    "/job:worker/replica:0/task:1/cpu:0, /job:worker/task:1/device:CPU:0",
    "/job:localhosts/task:0/cpu:0, /job:localhosts/task:0/device:CPU:0",
    "/job:localhost/replica:0/task:0, /job:localhost/task:0",
    "/job:localhost, ",
    "/job:worker/cpu:0, ",
    "/task:1/cpu:0, ",
    "/task:1, ",
    "/job:worker/replica:0, ",
    "/cpu, ",
  })
  void givesADeviceOneName(String device, String name) {
    if (name == null) {
      assertThrows(IllegalArgumentException.class, () -> Placement.one(device));
    } else {
      assertEquals(name, Placement.one(device).toString());
      assertEquals(name, Placement.one(name).toString());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "'', ''",
    "/cpu:3, /cpu:3",
    "/job:worker/task:1, /job:worker/task:1",
    "/device:GPU:1, /device:CPU:0",
    "/job:worker/task:1/device:GPU:1, /job:worker/task:1/device:CPU:0"
  })
  void hasAHostForEachDevice(String device, String host) {
    assertEquals(host, Placement.host(device));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/device:NPU:0", "CPU:0", "/device:CPU:99999999999"})
  void leavesOthersToTensorFlow(String device) {
    assertEquals("", Placement.parse(device).map(DeviceSpec::toString).orElse(""));
  }
}
