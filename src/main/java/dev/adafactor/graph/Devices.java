package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.tensorflow.internal.c_api.TF_DeviceList;
import org.tensorflow.internal.c_api.TF_Graph;
import org.tensorflow.internal.c_api.TF_Session;
import org.tensorflow.internal.c_api.TF_SessionOptions;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;

/** What TensorFlow finds to compute on. */
public final class Devices {

  /**
   * A device.
   *
   * @param name such as {@code /job:worker/replica:0/task:0/device:CPU:0}
   * @param type such as {@code CPU}
   * @param incarnation another number each time that the device's process starts
   */
  public record Device(String name, String type, long incarnation) {}

  private Devices() {}

  /** Whether TensorFlow finds a GPU, as {@code tf.config.list_physical_devices("GPU")} tells. */
  public static boolean hasGpu() {
    return GpuSearch.FOUND;
  }

  /**
   * The devices of a session; one that is remote is opened by this.
   *
   * @throws org.tensorflow.exceptions.TensorFlowException if it cannot be opened
   */
  static List<Device> of(TF_Session session) {
    try (PointerScope scope = new PointerScope()) {
      TF_Status status = TF_Status.newStatus();
      TF_DeviceList found = tensorflow.TF_SessionListDevices(session, status);
      status.throwExceptionIfNotOK();
      try {
        List<Device> devices = new ArrayList<>();
        for (int i = 0; i < tensorflow.TF_DeviceListCount(found); i++) {
          devices.add(
              new Device(
                  tensorflow.TF_DeviceListName(found, i, status).getString(),
                  tensorflow.TF_DeviceListType(found, i, status).getString(),
                  tensorflow.TF_DeviceListIncarnation(found, i, status)));
          status.throwExceptionIfNotOK();
        }
        return devices;
      } finally {
        tensorflow.TF_DeleteDeviceList(found);
      }
    }
  }

  /** Searched once, when first asked for: a session that does nothing else is needed for it. */
  private static final class GpuSearch {
    static final boolean FOUND = search();

    private static boolean search() {
      try (PointerScope scope = new PointerScope()) {
        TF_Status status = TF_Status.newStatus();
        TF_Graph graph = TF_Graph.newGraph();
        TF_Session session =
            TF_Session.newSession(graph, TF_SessionOptions.newSessionOptions(), status);
        status.throwExceptionIfNotOK();
        return of(session).stream().anyMatch(device -> device.type().equals("GPU"));
      }
    }
  }
}
