package dev.adafactor.graph;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.internal.c_api.TF_Session;
import org.tensorflow.internal.c_api.TF_SessionOptions;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;
import org.tensorflow.proto.ConfigProto;

/**
 * A session that another process runs. TensorFlow has them; {@link Session} has no public
 * constructor for them, so that the one that wraps a native session is called by reflection.
 *
 * @param session like that of a {@code SavedModelBundle}, it runs initializers only by {@link
 *     Session#initialize()}
 * @param devices all devices of all processes that it has
 */
public record RemoteSession(Session session, List<Devices.Device> devices)
    implements AutoCloseable {

  /**
   * Opens a session that a server runs.
   *
   * @param target the server, {@code grpc://HOST:PORT}
   * @throws org.tensorflow.exceptions.TensorFlowException if no session can be had there
   * @throws IllegalStateException if Java permits no reflection on TensorFlow's classes
   */
  public static RemoteSession open(Graph graph, String target, ConfigProto config) {
    // Before anything native: nothing is left open if reflection is not permitted.
    Internals internals = Internals.find("sessions on a cluster");
    try (PointerScope scope = new PointerScope()) {
      TF_Status status = TF_Status.newStatus();
      TF_SessionOptions options = TF_SessionOptions.newSessionOptions();
      BytePointer bytes = new BytePointer(config.toByteArray());
      tensorflow.TF_SetConfig(options, bytes, bytes.capacity(), status);
      status.throwExceptionIfNotOK();
      tensorflow.TF_SetTarget(options, target);
      TF_Session handle = TF_Session.newSession(internals.handle(graph), options, status);
      status.throwExceptionIfNotOK();
      List<Devices.Device> devices = List.copyOf(Devices.of(handle));
      RemoteSession opened = new RemoteSession(internals.wrap(graph, handle), devices);
      handle.retainReference();
      return opened;
    }
  }

  @Override
  public void close() {
    session.close();
  }
}
