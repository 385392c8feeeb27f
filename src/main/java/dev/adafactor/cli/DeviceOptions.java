package dev.adafactor.cli;

import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Task;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/** What computes. */
final class DeviceOptions extends MeshOptions {

  @Option(
      names = "--cluster",
      paramLabel = "JOB=HOST:PORT,HOST:PORT",
      description =
          "Use the CPUs of these processes (see worker) in their place, one for each device of"
              + " --mesh, in this order; the first computes what is not divided, too. Files are"
              + " those of this process alone. Once for each job.")
  private List<String> cluster = List.of();

  @Option(
      names = "--operation-timeout",
      paramLabel = "SECONDS",
      description =
          "The longest that a step, or another call of --cluster, may take; a process that is stuck"
              + " is noticed by then. Default: 300.")
  private Optional<Double> operationTimeout = Optional.empty();

  /**
   * The processes that compute, if it is not this one.
   *
   * @throws IllegalArgumentException if the option is wrong; the message names it
   */
  Optional<Cluster> cluster() {
    if (cluster.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Optional.of(Cluster.parse(cluster));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("--" + e.getMessage(), e);
    }
  }

  @Override
  Optional<Mesh> mesh() {
    Optional<Cluster> processes = cluster();
    if (processes.isEmpty()) {
      return super.mesh();
    }
    Optional<Mesh> mesh = mesh(of -> over(processes.get(), of));
    if (mesh.isEmpty()) {
      throw new IllegalArgumentException(
          "--cluster needs --mesh, which says how variables are laid out over its %d processes"
              .formatted(processes.get().tasks().size()));
    }
    return mesh;
  }

  private static Mesh over(Cluster processes, String dimensions) {
    List<String> devices =
        processes.tasks().stream().map(Task::toString).map(task -> task + "/device:CPU:0").toList();
    int points = Mesh.virtualCpus(dimensions).size();
    if (points != devices.size()) {
      throw new IllegalArgumentException(
          "the mesh %s has %d points, but --cluster has %d processes; one for each is wanted"
              .formatted(dimensions, points, devices.size()));
    }
    return Mesh.parse(dimensions, devices);
  }

  /**
   * The longest that a call of the cluster may take, if it is not the default.
   *
   * @throws IllegalArgumentException if the option is wrong; the message names it
   */
  Optional<Duration> operationTimeout() {
    if (operationTimeout.isPresent() && cluster.isEmpty()) {
      throw new IllegalArgumentException("--operation-timeout is for --cluster, which is missing");
    }
    return operationTimeout.map(DeviceOptions::duration);
  }

  /** What is to be said of a process that is lost. */
  static String lost(ClusterException e) {
    return "--cluster: "
        + e.getMessage().replaceFirst("took longer than [0-9]+ ms", "$0 (--operation-timeout)");
  }

  /** What the library says of an argument, of the option that gives it. */
  static IllegalArgumentException named(IllegalArgumentException e) {
    String message = String.valueOf(e.getMessage());
    return message.startsWith("cluster: ") || message.startsWith("mesh: ")
        ? new IllegalArgumentException("--" + message, e)
        : e;
  }

  private static Duration duration(double seconds) {
    double milliseconds = seconds * 1000;
    if (!(milliseconds >= 1 && milliseconds <= Integer.MAX_VALUE)) {
      throw new IllegalArgumentException(
          "--operation-timeout is %s; seconds from 0.001 to 2147483 are wanted".formatted(seconds));
    }
    return Duration.ofMillis((long) milliseconds);
  }
}
