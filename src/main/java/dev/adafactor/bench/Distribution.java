package dev.adafactor.bench;

import dev.adafactor.mesh.Mesh;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What the devices of a mesh have to do with a step.
 *
 * @param mesh of the devices
 * @param devices in its order
 * @param computedBytes that they send each other, as follows from the layouts
 * @param tensors that they send each other
 * @param signals that something is done, which one waits for another by
 * @param chain the most transfers of which each must wait for the one before
 */
public record Distribution(
    Mesh mesh, List<Device> devices, long computedBytes, int tensors, int signals, int chain) {

  /**
   * The part of a device.
   *
   * @param name as {@code /device:CPU:0}
   * @param stateBytes what the optimizer keeps there
   * @param sentBytes to other devices
   * @param receivedBytes from other devices
   */
  public record Device(String name, long stateBytes, long sentBytes, long receivedBytes) {}

  /**
   * Puts it together.
   *
   * @param stateBytes by device
   * @param transfers of a step
   */
  static Distribution of(
      Mesh mesh,
      Map<String, Long> stateBytes,
      List<Transfer> transfers,
      Traffic computed,
      int chain) {
    Traffic measured = measured(mesh, transfers);
    List<Device> devices = new ArrayList<>();
    for (int i = 0; i < mesh.size(); i++) {
      String name = mesh.devices().get(i);
      devices.add(
          new Device(
              name, stateBytes.getOrDefault(name, 0L), measured.sentBy(i), measured.receivedBy(i)));
    }
    int signals = (int) transfers.stream().filter(each -> each.bytes() == 0).count();
    return new Distribution(
        mesh, devices, computed.total(), transfers.size() - signals, signals, chain);
  }

  /** The bytes that were sent from device to device. */
  static Traffic measured(Mesh mesh, List<Transfer> transfers) {
    Map<Traffic.Link, Long> bytes = new HashMap<>();
    for (Transfer each : transfers) {
      Traffic.Link link =
          new Traffic.Link(mesh.devices().indexOf(each.from()), mesh.devices().indexOf(each.to()));
      bytes.merge(link, each.bytes(), Long::sum);
    }
    return new Traffic(bytes);
  }

  /** What all devices together send. */
  public long sentBytes() {
    return devices.stream().mapToLong(Device::sentBytes).sum();
  }
}
