package dev.adafactor.mesh;

import dev.adafactor.graph.ErrorLine;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import org.tensorflow.Server;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ServerDef;

/**
 * A process of a cluster: TensorFlow's server, which computes what sessions place on it. There is
 * one in a process, until the process ends: TensorFlow cannot stop it.
 */
public final class Worker {
  private final Server server;

  private Worker(Server server) {
    this.server = server;
  }

  /**
   * Starts it.
   *
   * @param task which of the cluster's processes this one is
   * @throws IllegalArgumentException if the task is not in the cluster, or others can reach this
   *     host and that is not permitted
   * @throws IOException if its port is in use or may not be used
   */
  public static Worker start(Cluster cluster, Task task, Exposure exposure) throws IOException {
    Address address = cluster.address(task);
    exposure.require(Exposure.openInterfaces());
    requireFree(address);
    ServerDef definition =
        ServerDef.newBuilder()
            .setCluster(cluster.toProto())
            .setJobName(task.job())
            .setTaskIndex(task.index())
            .setProtocol("grpc")
            .build();
    try {
      Server server = new Server(definition);
      server.start();
      return new Worker(server);
    } catch (TensorFlowException e) {
      throw new IOException(
          "%s cannot listen at '%s': %s".formatted(task, address, ErrorLine.of(e)), e);
    }
  }

  /** TensorFlow would say no more than that it could not start. */
  private static void requireFree(Address address) throws IOException {
    try (ServerSocket socket = new ServerSocket()) {
      socket.setReuseAddress(true);
      socket.bind(new InetSocketAddress(address.port()));
    } catch (IOException e) {
      throw new IOException("port %d: %s".formatted(address.port(), e.getMessage()), e);
    }
  }

  /** Waits for the end of the process. */
  public void join() {
    server.join();
  }
}
