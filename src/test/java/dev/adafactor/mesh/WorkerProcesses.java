package dev.adafactor.mesh;

import dev.adafactor.JavaProcess;
import dev.adafactor.cli.Main;
import java.io.BufferedReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Worker processes of a test in a network of its own, where all ports are free. */
public final class WorkerProcesses implements AutoCloseable {
  public static final int FIRST_PORT = 2000;

  /** Gives what starts the worker of a task. */
  @FunctionalInterface
  public interface Starter {
    ProcessBuilder command(String cluster, int task);
  }

  private final Starter starter;
  private final String cluster;
  private final List<Process> processes = new ArrayList<>();

  /** Starts workers of this program. */
  public WorkerProcesses(int count) throws IOException {
    this(count, WorkerProcesses::program);
  }

  /** Starts workers, each of which says something when it is ready. */
  public WorkerProcesses(int count, Starter starter) throws IOException {
    this("127.0.0.1", count, starter);
  }

  /** Starts workers that reach one another by an address of loopback. */
  WorkerProcesses(String host, int count, Starter starter) throws IOException {
    this.starter = starter;
    cluster =
        IntStream.range(0, count)
            .mapToObj(task -> host + ":" + (FIRST_PORT + task))
            .collect(Collectors.joining(",", "worker=", ""));
    for (int task = 0; task < count; task++) {
      processes.add(begin(task));
    }
    for (Process process : processes) {
      awaitReady(process);
    }
  }

  /** What starts a worker of this program. */
  public static ProcessBuilder program(String cluster, int task) {
    return JavaProcess.builder(
        List.of("-Xmx128m"), Main.class, "worker", "--cluster=" + cluster, "--task=" + task);
  }

  private Process begin(int task) throws IOException {
    return starter.command(cluster, task).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  private static void awaitReady(Process process) throws IOException {
    BufferedReader output = process.inputReader();
    if (output.readLine() == null) {
      throw new IOException("a worker ended before it was ready");
    }
  }

  public Cluster cluster() {
    return Cluster.parse(List.of(cluster));
  }

  /** Ends a worker as a power cut does. */
  public void kill(int task) throws InterruptedException {
    processes.get(task).destroyForcibly().waitFor();
  }

  /** Sends a signal, such as {@code STOP}. */
  public void signal(int task, String name) throws IOException, InterruptedException {
    List<String> command = List.of("kill", "-" + name, "" + processes.get(task).pid());
    if (new ProcessBuilder(command).inheritIO().start().waitFor() != 0) {
      throw new IOException(command + " fails");
    }
  }

  /** Starts one that was killed, and waits until it is ready. */
  public void restart(int task) throws IOException {
    processes.set(task, begin(task));
    awaitReady(processes.get(task));
  }

  /** Asks a worker to end, as SIGTERM does; gives its exit code. */
  public int terminate(int task) throws InterruptedException {
    Process process = processes.get(task);
    process.destroy();
    if (!process.waitFor(1, TimeUnit.MINUTES)) {
      throw new AssertionError("worker " + task + " does not end");
    }
    return process.exitValue();
  }

  @Override
  public void close() {
    processes.forEach(Process::destroyForcibly);
  }
}
