package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.WorkerProcesses;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** {@code compare} on the processes of a cluster. */
@ExtendWith(OwnNetwork.class)
class ClusterComparisonTest extends ProgramFixture {
  private static final Duration BOUND = Duration.ofMinutes(3);
  private static final int SOON_MILLISECONDS = 3000;

  private static Path goldens() throws URISyntaxException {
    return Path.of(ClusterComparisonTest.class.getResource("/goldens/cases").toURI());
  }

  private int compare(List<Path> files, String... options) {
    err.getBuffer().setLength(0);
    List<String> command = new ArrayList<>(List.of("compare"));
    files.forEach(file -> command.add("--cases=" + file));
    command.addAll(List.of(options));
    return run(command);
  }

  private static List<Path> all() throws IOException, URISyntaxException {
    try (Stream<Path> files = Files.list(goldens())) {
      return files.toList();
    }
  }

  @Test
  void saysWhereItReplays() throws Exception {
    Path results = folder.resolve("results.json");
    List<Path> cases = List.of(goldens().resolve("shapes.json"));
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      String cluster = "--cluster=" + workers.cluster();
      assertEquals(
          0, compare(cases, "--mesh=x=1,y=2", cluster, "--results=" + results), err::toString);
      assertTrue(out.toString().contains("on a mesh of x=1,y=2 over 2 processes"), out::toString);
      JsonNode meta = new JsonMapper().readTree(results.toFile()).get("meta");
      assertEquals("x=1,y=2", meta.get("mesh").textValue());
      assertEquals("worker=127.0.0.1:2000,127.0.0.1:2001", meta.get("cluster").textValue());

      assertEquals(2, compare(cases, "--mesh=x=3", cluster + ",127.0.0.1:9"));
      assertOneLine("--cluster: the processes of", "without /job:worker/task:2");
    }
  }

  @Test
  void aLostProcessEndsIt() throws Exception {
    Path results = folder.resolve("results.json");
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      String[] options = {
        "--mesh=x=2",
        "--cluster=" + workers.cluster(),
        "--operation-timeout=6",
        "--results=" + results
      };
      soon(
          () -> {
            workers.kill(1);
            return null;
          });
      for (int again = 0; again < 2; again++) {
        assertEquals(2, assertTimeoutPreemptively(BOUND, () -> compare(all(), options)));
        assertOneLine("--cluster: /job:worker/task:1 at '127.0.0.1:2001' cannot be reached");
        assertFalse(Files.exists(results));
      }
    }
  }

  /** Whether that falls into a case or between two. */
  @Test
  void aProcessOfAnotherClusterEndsIt() throws Exception {
    BlockingQueue<Process> strange = new LinkedBlockingQueue<>();
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      soon(
          () -> {
            workers.signal(0, "STOP"); // Nobody notices before the other one is there.
            workers.kill(1);
            strange.add(WorkerProcesses.program("worker=127.0.0.1:2001", 0).start());
            strange.element().inputReader().readLine();
            workers.signal(0, "CONT");
            return null;
          });
      String[] options = {"--mesh=x=2", "--cluster=" + workers.cluster(), "--operation-timeout=60"};
      assertEquals(2, assertTimeoutPreemptively(BOUND, () -> compare(all(), options)));
      assertOneLine("--cluster: ", " of another ", " at '127.0.0.1:2001'");
    } finally {
      strange.forEach(Process::destroyForcibly);
    }
  }

  private static void soon(Callable<?> disturbance) {
    new Timer(true)
        .schedule(
            new TimerTask() {
              @Override
              public void run() {
                try {
                  disturbance.call();
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              }
            },
            SOON_MILLISECONDS);
  }

  @Test
  void refusesWhatDoesNotGoTogether() throws Exception {
    String cluster = "--cluster=worker=localhost:1,localhost:2";
    assertRefused("--cluster needs --mesh", cluster);
    assertRefused(
        "--mesh: the mesh x=3 has 3 points, but --cluster has 2 processes", cluster, "--mesh=x=3");
    assertRefused("--cluster: 'worker' is no JOB=", "--cluster=worker", "--mesh=x=1");
    assertRefused("--operation-timeout is for --cluster", "--mesh=x=2", "--operation-timeout=3");
    assertRefused("--operation-timeout is 0.0;", cluster, "--mesh=x=2", "--operation-timeout=0");
  }

  private void assertRefused(String message, String... options) throws Exception {
    assertEquals(2, compare(all(), options));
    assertOneLine(message);
  }
}
