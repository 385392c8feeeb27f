package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.Interfaces;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(OwnNetwork.class)
class WorkerCommandTest extends ProgramFixture {

  private void assertRefused(List<String> options, String... parts) {
    List<String> command = new ArrayList<>(List.of("worker"));
    command.addAll(options);
    err.getBuffer().setLength(0);
    assertEquals(2, run(command), err::toString);
    assertOneLine(parts);
  }

  @Test
  void refusesWhatIsNotInTheCluster() {
    String cluster = "--cluster=worker=localhost:2222";
    assertRefused(List.of(cluster, "--task=1"), "--task: 1 is not in the cluster");
    assertRefused(List.of(cluster, "--task=0", "--job=ps"), "--job: 'ps' is not in the cluster, ");
    assertRefused(List.of("--cluster=worker=x", "--task=0"), "--cluster: ", "'x' is no HOST:PORT");
    assertRefused(List.of("--task=0"), "--cluster");
    assertRefused(List.of(cluster), "--task");
  }

  @Test
  void refusesAPortInUse() throws Exception {
    try (ServerSocket other = new ServerSocket(0)) {
      String port = Integer.toString(other.getLocalPort());
      assertRefused(
          List.of("--cluster=worker=localhost:" + port, "--task=0"),
          "worker: ",
          "port " + port,
          "in use");
    }
  }

  @Test
  void refusesAHostThatOthersReachUnlessThatIsPermitted() throws Exception {
    Interfaces.add("other", "10.9.8.7");
    String cluster = "--cluster=worker=localhost:2222";
    assertRefused(
        List.of(cluster, "--task=0"),
        "also on other (10.9.8.7):",
        "--insecure-listen-on-all-interfaces");
    ProcessBuilder builder =
        JavaProcess.builder(
            Main.class, "worker", cluster, "--task=0", "--insecure-listen-on-all-interfaces");
    // What ignores SIGINT, as a shell has its background jobs do, has its children ignore it, too.
    builder.command().addAll(0, List.of("env", "--default-signal=INT"));
    Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      String said = process.inputReader().readLine();
      assertTrue(said.startsWith("/job:worker/task:0 "), said);
      new ProcessBuilder("kill", "-INT", "" + process.pid()).inheritIO().start().waitFor();
      assertTrue(process.waitFor(1, TimeUnit.MINUTES));
      assertEquals(130, process.exitValue());
    } finally {
      process.destroyForcibly();
    }
  }
}
