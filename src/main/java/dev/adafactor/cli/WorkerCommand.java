package dev.adafactor.cli;

import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.Exposure;
import dev.adafactor.mesh.Task;
import dev.adafactor.mesh.Worker;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Starts a process of a cluster, which runs until it is ended. */
@Command(
    name = "worker",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    description = {
      "Start a process of a cluster: it computes what others have it compute, until Ctrl-C or"
          + " SIGTERM.",
      "",
      "TensorFlow's servers do what anyone tells them, reading and writing files included, and they"
          + " listen on all interfaces. A host that has another interface than loopback, up or with"
          + " an address, is refused; that is looked at once, at the start."
    },
    footer = {
      "",
      "Example, in a network of its own, from where nobody else is reached:",
      "  unshare -rn sh -c 'ip link set lo up; CLUSTER=worker=localhost:2222",
      "      java -jar target/adafactor.jar worker --cluster $CLUSTER --task 0 &",
      "      java -jar target/adafactor.jar fine-tune --cluster $CLUSTER --mesh x=1; kill $!'"
    })
final class WorkerCommand implements Callable<Integer> {
  private static final String INSECURE = "--insecure-listen-on-all-interfaces";

  @Spec private CommandSpec spec;

  @Option(
      names = "--cluster",
      paramLabel = "JOB=HOST:PORT,HOST:PORT",
      required = true,
      description = "All processes of a job, that of task 0 first; once for each job.")
  private List<String> cluster;

  @Option(
      names = "--job",
      paramLabel = "JOB",
      defaultValue = "worker",
      description = "The job that this process has a part in (default: ${DEFAULT-VALUE}).")
  private String job;

  @Option(
      names = "--task",
      paramLabel = "N",
      required = true,
      description = "Which of the job's processes this one is, from 0.")
  private int task;

  @Option(names = INSECURE, description = "Let everyone who reaches this host give commands.")
  private boolean insecure;

  @Override
  public Integer call() throws IOException {
    Task self = new Task(job, task);
    Worker worker = start(self);
    PrintWriter out = spec.commandLine().getOut();
    out.println("%s of %s is ready. Ctrl-C ends it.".formatted(self, String.join(" ", cluster)));
    out.flush();
    worker.join();
    return ExitCode.OK;
  }

  private Worker start(Task self) throws IOException {
    try {
      return Worker.start(
          Cluster.parse(cluster), self, insecure ? Exposure.ALL_INTERFACES : Exposure.LOOPBACK);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), named(e.getMessage()), e);
    }
  }

  /** What the library says of an argument, of the option that gives it. */
  private static String named(String message) {
    return message
        .replaceFirst("^(cluster|job|task): ", "--$1: ")
        .replace("Exposure.ALL_INTERFACES", INSECURE);
  }
}
