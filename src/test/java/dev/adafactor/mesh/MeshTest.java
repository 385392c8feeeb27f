package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.DeviceSpec;

class MeshTest {

  @Test
  void isAGridWhoseLastDimensionVariesFastest() {
    Mesh mesh = Mesh.virtualCpus("x=2,y=3");
    assertEquals(List.of("x", "y"), mesh.dimNames());
    assertEquals(3, mesh.dimSize("y"));
    assertTrue(mesh.containsDim("x"));
    assertFalse(mesh.containsDim("z"));
    assertEquals(6, mesh.size());
    assertEquals(List.of(1, 2), mesh.coordinates(5));
    assertEquals(List.of(1, 0), mesh.coordinates(3));
    assertEquals(5, mesh.device(5).deviceIndex());
    assertEquals("x=2,y=3", mesh.toString());
    assertEquals(mesh, Mesh.parse(" x=2, y=3 ", mesh.devices()));
  }

  @Test
  void takesDevicesOfSeveralProcesses() {
    Mesh mesh =
        Mesh.parse(
            "batch=3", List.of("/job:worker/task:0", "/job:worker/task:1/gpu:2", "/device:CPU:0"));
    assertEquals(1, mesh.device(1).task());
    assertEquals(DeviceSpec.DeviceType.GPU, mesh.device(1).deviceType());
    assertEquals("/job:worker/task:1/device:GPU:2", mesh.devices().get(1));
  }

  @Test
  void asksForTheCpusOfItsOwnProcess() {
    assertEquals(6, Mesh.virtualCpus("x=2,y=3").config().getDeviceCountOrThrow("CPU"));
    Mesh remote = Mesh.parse("x=2", List.of("/job:a/task:0/cpu:3", "/job:a/task:1/cpu:3"));
    assertEquals(1, remote.config().getDeviceCountOrThrow("CPU"));
    String own = "/job:localhost/replica:0/task:0/device:CPU:";
    Mesh full = Mesh.parse("x=2", List.of(own + 0, own + 1));
    assertEquals(Mesh.virtualCpus("x=2"), full);
    assertEquals(2, full.config().getDeviceCountOrThrow("CPU"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "x", "x=", "=2", "x=2,", "x=-1", "x=2;y=2", "x=2.5", "x=9999999999"})
  void needsNamesAndSizes(String dimensions) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Mesh.virtualCpus(dimensions))
            .getMessage();
    assertEquals(
        "'%s' is no mesh: give names and sizes, as x=2,y=2".formatted(dimensions), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x=0 | mesh dimension 'x' has size 0, it must be at least 1",
        "x=2,x=2 | the mesh has two dimensions named 'x'",
        "unsharded=2 | 'unsharded' cannot name a mesh dimension: give letters, digits and"
            + " underscores, not 'unsharded'",
        "x=99999,y=99999 | the mesh x=99999,y=99999 has more than 1024 points, too many for one"
            + " process",
      })
  void refusesWhatIsNoGrid(String dimensions, String message) {
    assertEquals(
        message,
        assertThrows(IllegalArgumentException.class, () -> Mesh.virtualCpus(dimensions))
            .getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/cpu:0 | the mesh x=2 has 2 points, but 1 devices are given",
        "/cpu:0;/device:CPU:0 | device '/device:CPU:0' is given twice; each must be another",
        "/cpu:0;/job:localhost/replica:0/task:0/device:CPU:0 | device '/device:CPU:0' is given twice;"
            + " each must be another",
        "/job:a/task:1/cpu:0;/job:a/task:1 | '/job:a/task:1' may be the device"
            + " '/job:a/task:1/device:CPU:0', which is given too; name a device of that task each"
            + " time",
        "/job:localhost/task:0;/cpu:0 | '/job:localhost/task:0' may be the device '/device:CPU:0',"
            + " which is given too; name a device of that task each time",
        "/cpu:0;/cpu:1024 | device '/device:CPU:1024' is one of too many: a process has 1024 CPU"
            + " devices at most",
        "/cpu:0;/cpu | '/cpu' does not name one device: give such as /device:CPU:0,"
            + " /job:worker/task:1/device:GPU:0 or /job:worker/task:1",
        "/cpu:0;/job:a | '/job:a' does not name one device: give such as /device:CPU:0,"
            + " /job:worker/task:1/device:GPU:0 or /job:worker/task:1",
      })
  void refusesOtherDevices(String devices, String message) {
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class,
                () -> Mesh.parse("x=2", List.of(devices.split(";"))))
            .getMessage());
  }

  @Test
  void namesADimensionThatItDoesNotHave() {
    assertEquals(
        "the mesh x=2 has no dimension 'y'",
        assertThrows(IllegalArgumentException.class, () -> Mesh.virtualCpus("x=2").dimSize("y"))
            .getMessage());
  }
}
