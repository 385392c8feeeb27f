package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.WorkerProcesses;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Jobs that processes of a cluster do. */
@ExtendWith(OwnNetwork.class)
class ClusterJobTest extends ClusterFixture {
  private static final Duration TIMEOUT = Duration.ofMinutes(1);

  /** The bytes do not depend on where the shards are. */
  @Test
  void areThoseOfVirtualDevices() throws Exception {
    Path virtual = folder.resolve("virtual");
    byte[] expected = done(job(virtual, "--mesh=x=2"), virtual);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Path spread = folder.resolve("spread");
      assertArrayEquals(expected, done(job(spread, onCluster(workers, TIMEOUT)), spread));
    }
  }

  @Test
  void divideBatches() throws Exception {
    Path virtual = folder.resolve("virtual");
    byte[] expected = done(job(virtual, "--mesh=batch=2"), virtual);
    try (WorkerProcesses workers = new WorkerProcesses(2)) {
      Path divided = folder.resolve("divided");
      String[] devices = {"--mesh=batch=2", "--cluster=" + workers.cluster()};
      assertArrayEquals(expected, done(job(divided, devices), divided));
    }
  }

  @Test
  void refuseWhatDoesNotGoTogether() {
    String cluster = "--cluster=worker=localhost:1,localhost:2";
    Path no = folder.resolve("no");
    assertRefused(job(no, cluster), "--cluster needs --mesh", "2 processes");
    assertRefused(
        job(no, cluster, "--mesh=x=2", "--reductions=collective"),
        "--reductions: collective operations are for devices of one process",
        "/job:worker/task:0");
    assertRefused(
        job(no, cluster, "--mesh=x=3"), "--mesh: ", "3 points, but --cluster has 2 processes");
    assertRefused(job(no, "--cluster=worker", "--mesh=x=1"), "--cluster: 'worker' is no JOB=");
    assertRefused(job(no, "--mesh=x2"), "--mesh: 'x2' is no mesh");
    assertRefused(job(no, "--mesh=a=2"), "mesh: a=2 has neither x");
    assertRefused(job(no, "--operation-timeout=3"), "--operation-timeout is for --cluster");
    assertRefused(
        job(no, cluster, "--mesh=x=2", "--operation-timeout=0"), "--operation-timeout is 0.0;");
  }

  private void assertRefused(List<String> command, String... parts) {
    err.getBuffer().setLength(0);
    assertEquals(2, run(command), err::toString);
    assertOneLine(parts);
  }
}
