package dev.adafactor.mesh;

import dev.adafactor.graph.RemoteSession;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ConfigProto;

/**
 * Sessions whose operations run in the processes of a cluster: each operation where it is placed
 * ({@code tf.withDevice(task.device())}), and on the first task of all where it is not. Files that
 * operations read and write are those of the process that runs them. Variables belong to the
 * session: another one begins with its own.
 *
 * <pre>{@code
 * ClusterSessions sessions = new ClusterSessions(cluster, Duration.ofMinutes(1));
 * try (Session session = sessions.open(graph, ConfigProto.getDefaultInstance())) {
 *   session.initialize();
 *   session.run(train);
 * } catch (TensorFlowException e) {
 *   throw sessions.explain(e);
 * }
 * }</pre>
 *
 * @param cluster its processes
 * @param timeout the longest that opening a session or one run may take, 1 ms or more; whoever is
 *     gone in the midst of it is noticed by that at the latest
 */
public record ClusterSessions(Cluster cluster, Duration timeout) {
  private static final int CONNECTING_MS = 1000;

  /** What TensorFlow says where it gives up waiting. */
  private static final List<String> LATE = List.of("Deadline Exceeded", "DEADLINE_EXCEEDED");

  /** What it says of processes that have ended, though others may be in their places by now. */
  private static final List<String> LOST =
      List.of(
          "Socket closed",
          "Connection reset",
          "Broken pipe",
          "failed to connect",
          "was probably restarted",
          "is not found",
          "was aborted",
          "has a different incarnation");

  public ClusterSessions {
    if (timeout.toMillis() < 1 || timeout.toMillis() > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "timeout: %s is not from 1 ms to %s"
              .formatted(timeout, Duration.ofMillis(Integer.MAX_VALUE)));
    }
  }

  /**
   * Opens a session. It runs no initializer by itself: call {@link Session#initialize()}.
   *
   * @param config any settings but the two that are set here, the timeout and that the variables
   *     belong to the session
   * @throws ClusterException if one of the processes gives no answer
   */
  public Session open(Graph graph, ConfigProto config) {
    ConfigProto ours =
        config.toBuilder()
            .setOperationTimeoutInMs(timeout.toMillis())
            .setIsolateSessionState(true)
            .build();
    try {
      return RemoteSession.open(graph, "grpc://" + cluster.address(master()), ours);
    } catch (TensorFlowException e) {
      throw explain(e);
    }
  }

  private Task master() {
    return cluster.tasks().get(0);
  }

  /**
   * Says which process is gone or gives no answer, where that is why a run has failed. It asks each
   * process whether it accepts connections, which takes seconds at most.
   *
   * @param e what the run has thrown
   * @return a {@link ClusterException}, or what was given if it has another reason
   */
  public RuntimeException explain(TensorFlowException e) {
    String said = String.valueOf(e.getMessage());
    String unreachable =
        cluster.tasks().parallelStream()
            .flatMap(task -> refusal(task).stream())
            .collect(Collectors.joining("; "));
    if (!unreachable.isEmpty()) {
      return new ClusterException(unreachable, e);
    }
    if (LATE.stream().anyMatch(said::contains)) {
      return new ClusterException(
          "%s gave no answer within %d ms, though all processes accept connections: one of them is"
                  .formatted(cluster, timeout.toMillis())
              + " stuck, or a step takes longer",
          e);
    }
    if (LOST.stream().anyMatch(said::contains)) {
      return new ClusterException(
          "a process of %s was started anew: %s"
              .formatted(cluster, said.lines().findFirst().orElse("")),
          e);
    }
    return e;
  }

  private Optional<String> refusal(Task task) {
    Address address = cluster.address(task);
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(address.host(), address.port()), CONNECTING_MS);
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of("%s at '%s' is gone (%s)".formatted(task, address, e.getMessage()));
    }
  }
}
