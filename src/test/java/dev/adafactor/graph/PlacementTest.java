package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

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
  @ValueSource(strings = {"", "/device:NPU:0", "CPU:0", "/device:CPU:99999999999"})
  void leavesOthersToTensorFlow(String device) {
    assertEquals("", Placement.parse(device).map(DeviceSpec::toString).orElse(""));
  }
}
