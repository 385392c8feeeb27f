package dev.adafactor.mesh;

import dev.adafactor.graph.Devices.Device;
import dev.adafactor.graph.ErrorLine;
import dev.adafactor.graph.RemoteSession;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ConfigProto;

/**
 * A session whose operations run in the processes of a cluster: each operation where it is placed
 * ({@code tf.withDevice(task.device())}), and in the first process of all where it is not. Files
 * that operations read and write are those of the process that runs them.
 *
 * <pre>{@code
 * try (ClusterSession opened =
 *     ClusterSession.open(cluster, timeout, graph, ConfigProto.getDefaultInstance())) {
 *   Session session = opened.session();
 *   try {
 *     session.initialize();
 *     session.run(train);
 *   } catch (TensorFlowException e) {
 *     throw opened.explain(e);
 *   }
 * }
 * }</pre>
 *
 * <p>Variables belong to the session: another one begins with its own, and closing it frees them. A
 * program that is killed before that leaves them in the processes' memory until these end.
 */
public final class ClusterSession implements AutoCloseable {
  /** The longest that a run may take where nobody says otherwise. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofMinutes(5);

  private static final Duration CONNECTING = Duration.ofSeconds(2);
  private static final Duration ANSWERING = Duration.ofSeconds(5);
  private static final Duration CLOSING = Duration.ofSeconds(5);
  private static final Duration CLOSING_LOST = Duration.ofSeconds(1);
  private static final Duration ASKING = CONNECTING.plus(ANSWERING).plusSeconds(1);

  /** What TensorFlow says where it gives up waiting. */
  private static final List<String> LATE = List.of("Deadline Exceeded", "DEADLINE_EXCEEDED");

  /** Those that are open. */
  private static final Map<Session, ClusterSession> OPEN = new ConcurrentHashMap<>();

  private final Cluster cluster;
  private final Duration timeout;
  private final RemoteSession opened;
  private volatile Duration closing = CLOSING;

  private ClusterSession(Cluster cluster, Duration timeout, RemoteSession opened) {
    this.cluster = cluster;
    this.timeout = timeout;
    this.opened = opened;
    OPEN.put(opened.session(), this);
  }

  /**
   * Opens a session; waits for processes that are not there yet, as long as the timeout permits.
   *
   * @param timeout the longest that opening it or one run may take, 1 ms or more: a run that takes
   *     longer fails, and a process that is lost in the midst of one is noticed by then at the
   *     latest
   * @param config any settings but the two that are set here, the timeout and that the variables
   *     belong to the session
   * @throws IllegalArgumentException if a timeout cannot be so long or short, or the processes were
   *     started as those of another cluster
   * @throws ClusterException if one of the processes gives no answer
   */
  public static ClusterSession open(
      Cluster cluster, Duration timeout, Graph graph, ConfigProto config) {
    if (timeout.toMillis() < 1 || timeout.toMillis() > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "timeout: %s is not from 1 ms to %s"
              .formatted(timeout, Duration.ofMillis(Integer.MAX_VALUE)));
    }
    ConfigProto ours =
        config.toBuilder()
            .setOperationTimeoutInMs(timeout.toMillis())
            .setIsolateSessionState(true)
            .build();
    RemoteSession opened;
    try {
      opened = RemoteSession.open(graph, target(cluster.address(cluster.tasks().get(0))), ours);
    } catch (TensorFlowException e) {
      throw explain(cluster, timeout, List.of(), e);
    }
    List<Task> missing =
        cluster.tasks().stream()
            .filter(task -> opened.devices().stream().noneMatch(device -> isOf(task, device)))
            .toList();
    // Who cannot be reached from here may well be reached by the first process.
    String difference =
        missing.isEmpty()
            ? ask(cluster)
                .flatMap(answer -> answer.stranger(opened.devices()))
                .collect(Collectors.joining(", "))
            : "without " + missing.stream().map(Task::toString).collect(Collectors.joining(", "));
    if (!difference.isEmpty()) {
      opened.close();
      throw new IllegalArgumentException(
          "cluster: the processes of '%s' were started as those of another one, %s"
              .formatted(cluster, difference));
    }
    return new ClusterSession(cluster, timeout, opened);
  }

  private static String target(Address address) {
    return "grpc://" + address;
  }

  private static boolean isOf(Task task, Device device) {
    return device.name().startsWith(filter(task) + "/");
  }

  private static String filter(Task task) {
    return "/job:%s/replica:0/task:%d".formatted(task.job(), task.index());
  }

  /** The session. It runs no initializer by itself: call {@link Session#initialize()}. */
  public Session session() {
    return opened.session();
  }

  /**
   * The same as {@link #explain(RuntimeException)}, for who has the session alone.
   *
   * @return what was given if no cluster runs the session
   */
  public static RuntimeException explain(Session session, RuntimeException e) {
    ClusterSession cluster = OPEN.get(session);
    return cluster == null ? e : cluster.explain(e);
  }

  /**
   * Says which process cannot be reached, gives no answer, was started anew or as that of another
   * cluster, where that is why a run has failed. It asks all of them, for eight seconds at most.
   *
   * @param e what the run has thrown: a {@link TensorFlowException}, or one of those that
   *     TensorFlow Java does not derive from it, such as {@code TFInvalidArgumentException}
   * @return a {@link ClusterException}, or what was given if it has another reason
   */
  public RuntimeException explain(RuntimeException e) {
    RuntimeException explained = explain(cluster, timeout, opened.devices(), e);
    if (explained instanceof ClusterException) {
      closing = CLOSING_LOST;
    }
    return explained;
  }

  private static RuntimeException explain(
      Cluster cluster, Duration timeout, List<Device> before, RuntimeException e) {
    String faults =
        ask(cluster).flatMap(answer -> answer.fault(before)).collect(Collectors.joining("; "));
    if (!faults.isEmpty()) {
      return new ClusterException(faults, e);
    }
    if (LATE.stream().anyMatch(String.valueOf(e.getMessage())::contains)) {
      return new ClusterException(
          "%s took longer than %d ms, though all of its processes answer"
              .formatted(cluster, timeout.toMillis()),
          e);
    }
    return e;
  }

  /**
   * What a process says that is asked for its devices.
   *
   * @param devices its own and those of the task
   * @param failure why it has none of the task
   */
  private record Answer(
      Task task, Address address, List<Device> devices, Optional<String> failure) {

    /**
     * What is wrong with it.
     *
     * @param before the devices of a session; none if there is no session
     */
    Stream<String> fault(List<Device> before) {
      boolean changed =
          devices.stream().anyMatch(device -> isOf(task, device) && !before.contains(device));
      return failure
          .or(
              () ->
                  before.isEmpty() || !changed
                      ? Optional.empty()
                      : Optional.of("was started anew, without what it had in its memory"))
          .map(fault -> "%s at '%s' %s".formatted(task, address, fault))
          .stream();
    }

    /**
     * What other process it is than the one that a session has there.
     *
     * @param session the devices of the session
     */
    Stream<String> stranger(List<Device> session) {
      return devices.stream()
          .filter(device -> !isOf(task, device) || !session.contains(device))
          .map(device -> isOf(task, device) ? "another " + task : taskOf(device))
          .map(other -> "with %s at '%s'".formatted(other, address))
          .limit(1);
    }

    private static String taskOf(Device device) {
      return device.name().replaceFirst("/replica:0", "").replaceFirst("/device:.*", "");
    }
  }

  /** Asks all processes at once, for some seconds: even the look-up of a name may hang. */
  private static Stream<Answer> ask(Cluster cluster) {
    List<CompletableFuture<Answer>> asked =
        cluster.tasks().stream()
            .map(
                task ->
                    CompletableFuture.supplyAsync(
                            () -> ask(task, cluster.address(task)), ClusterSession::startDaemon)
                        .completeOnTimeout(
                            failure(task, cluster.address(task), "gives no answer"),
                            ASKING.toMillis(),
                            TimeUnit.MILLISECONDS))
            .toList();
    return asked.stream().map(CompletableFuture::join);
  }

  private static void startDaemon(Runnable action) {
    Thread thread = new Thread(action, "cluster");
    thread.setDaemon(true);
    thread.start();
  }

  private static Answer ask(Task task, Address address) {
    try (Socket socket = new Socket()) {
      socket.connect(
          new InetSocketAddress(address.host(), address.port()), (int) CONNECTING.toMillis());
    } catch (UnknownHostException e) {
      return failure(task, address, "cannot be reached (no host has that name)");
    } catch (IOException e) {
      return failure(task, address, "cannot be reached (" + e.getMessage() + ")");
    }
    ConfigProto alone =
        ConfigProto.newBuilder()
            .addDeviceFilters(filter(task))
            .setOperationTimeoutInMs(ANSWERING.toMillis())
            .build();
    try (Graph graph = new Graph();
        RemoteSession asked = RemoteSession.open(graph, target(address), alone)) {
      boolean known = asked.devices().stream().anyMatch(device -> isOf(task, device));
      return new Answer(
          task,
          address,
          asked.devices(),
          known ? Optional.empty() : Optional.of("was started as a process of another cluster"));
    } catch (TensorFlowException e) {
      return failure(
          task,
          address,
          "gives no answer, though it accepts connections (" + ErrorLine.of(e) + ")");
    }
  }

  private static Answer failure(Task task, Address address, String failure) {
    return new Answer(task, address, List.of(), Optional.of(failure));
  }

  /** Frees its variables; where a process is lost this goes on after a few seconds by itself. */
  @Override
  public void close() {
    OPEN.remove(session());
    CompletableFuture.runAsync(opened::close, ClusterSession::startDaemon)
        .completeOnTimeout(null, closing.toMillis(), TimeUnit.MILLISECONDS)
        .join();
  }
}
