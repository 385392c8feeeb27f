package dev.adafactor.graph;

import org.bytedeco.javacpp.PointerScope;
import org.tensorflow.internal.c_api.TF_DeviceList;
import org.tensorflow.internal.c_api.TF_Graph;
import org.tensorflow.internal.c_api.TF_Session;
import org.tensorflow.internal.c_api.TF_SessionOptions;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;

/** What TensorFlow finds to compute on. */
public final class Devices {

  private Devices() {}

  /** Whether TensorFlow finds a GPU, as {@code tf.config.list_physical_devices("GPU")} tells. */
  public static boolean hasGpu() {
    return GpuSearch.FOUND;
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
        TF_DeviceList devices = tensorflow.TF_SessionListDevices(session, status);
        status.throwExceptionIfNotOK();
        try {
          for (int i = 0; i < tensorflow.TF_DeviceListCount(devices); i++) {
            String type = tensorflow.TF_DeviceListType(devices, i, status).getString();
            status.throwExceptionIfNotOK();
            if (type.equals("GPU")) {
              return true;
            }
          }
          return false;
        } finally {
          tensorflow.TF_DeleteDeviceList(devices);
        }
      }
    }
  }
}
