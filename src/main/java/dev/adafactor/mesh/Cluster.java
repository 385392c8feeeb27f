package dev.adafactor.mesh;

import dev.adafactor.graph.Placement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.tensorflow.proto.ClusterDef;
import org.tensorflow.proto.JobDef;

/** The processes that compute together, and where each of them listens. */
public final class Cluster {
  private static final Pattern JOB = Pattern.compile("([A-Za-z][A-Za-z0-9_]*)=(.*)");

  /** TensorFlow's name for this process: {@link Placement#one} takes it for no other. */
  private static final String OWN_JOB = "localhost";

  private final Map<String, List<Address>> jobs;

  private Cluster(Map<String, List<Address>> jobs) {
    this.jobs = jobs;
  }

  /**
   * Reads jobs: {@code worker=HOST:PORT,HOST:PORT}. The first address is that of task 0, and so on;
   * IPv6 is written {@code [::1]:2222}.
   *
   * @param jobs one text for each job; one job is enough
   * @throws IllegalArgumentException if there is none, one is written otherwise or called {@code
   *     localhost}, or a job or an address comes twice
   */
  public static Cluster parse(List<String> jobs) {
    Map<String, List<Address>> parsed = new LinkedHashMap<>();
    Set<Address> all = new LinkedHashSet<>();
    for (String text : jobs) {
      Matcher job = JOB.matcher(text);
      if (!job.matches()) {
        throw new IllegalArgumentException(
            "cluster: '%s' is no JOB=HOST:PORT,HOST:PORT, such as worker=10.0.0.1:2222,10.0.0.2:2222"
                .formatted(text));
      }
      if (job.group(1).equals(OWN_JOB)) {
        throw new IllegalArgumentException(
            ("cluster: a job cannot be called '%s', as the devices of the program itself are; give"
                    + " another name, such as worker")
                .formatted(OWN_JOB));
      }
      List<Address> addresses = new ArrayList<>();
      for (String address : job.group(2).split(",", -1)) {
        addresses.add(address(job.group(1), address, all));
      }
      if (parsed.put(job.group(1), List.copyOf(addresses)) != null) {
        throw new IllegalArgumentException(
            "cluster: the job '%s' is given twice; all its addresses belong into one list"
                .formatted(job.group(1)));
      }
    }
    if (parsed.isEmpty()) {
      throw new IllegalArgumentException("cluster: there is no job in it");
    }
    return new Cluster(parsed);
  }

  private static Address address(String job, String text, Set<Address> all) {
    Address address;
    try {
      address = Address.parse(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "cluster: in the job '%s', %s".formatted(job, e.getMessage()), e);
    }
    if (!all.add(address)) {
      throw new IllegalArgumentException(
          "cluster: '%s' is given twice; each task has an address of its own".formatted(address));
    }
    return address;
  }

  /** All processes, in the order in which they were given. */
  public List<Task> tasks() {
    return jobs.entrySet().stream()
        .flatMap(
            job ->
                IntStream.range(0, job.getValue().size())
                    .mapToObj(index -> new Task(job.getKey(), index)))
        .toList();
  }

  /**
   * Where a process listens.
   *
   * @throws IllegalArgumentException if it is none of this cluster's
   */
  Address address(Task task) {
    List<Address> addresses = jobs.get(task.job());
    if (addresses == null) {
      throw new IllegalArgumentException(
          "job: '%s' is not in the cluster, which has %s"
              .formatted(task.job(), String.join(", ", jobs.keySet())));
    }
    if (task.index() < 0 || task.index() >= addresses.size()) {
      throw new IllegalArgumentException(
          "task: %d is not in the cluster, whose job '%s' has the tasks 0 to %d"
              .formatted(task.index(), task.job(), addresses.size() - 1));
    }
    return addresses.get(task.index());
  }

  ClusterDef toProto() {
    ClusterDef.Builder cluster = ClusterDef.newBuilder();
    jobs.forEach(
        (name, addresses) -> {
          JobDef.Builder job = cluster.addJobBuilder().setName(name);
          for (int i = 0; i < addresses.size(); i++) {
            job.putTasks(i, addresses.get(i).toString());
          }
        });
    return cluster.build();
  }

  /** As {@link #parse} reads it, the jobs with spaces between them. */
  @Override
  public String toString() {
    return String.join(
        " ",
        jobs.entrySet().stream()
            .map(
                job ->
                    job.getKey()
                        + "="
                        + String.join(",", job.getValue().stream().map(Address::toString).toList()))
            .toList());
  }
}
