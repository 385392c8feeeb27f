package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ClusterTest {

  @Test
  void numbersTheTasksOfEachJob() {
    Cluster cluster =
        Cluster.parse(List.of("worker=a.example:2222,10.0.0.2:65535", "ps=[fe80::1]:1"));
    assertEquals(
        List.of(new Task("worker", 0), new Task("worker", 1), new Task("ps", 0)), cluster.tasks());
    assertEquals(new Address("10.0.0.2", 65535), cluster.address(new Task("worker", 1)));
    assertEquals(new Address("fe80::1", 1), cluster.address(new Task("ps", 0)));
    assertEquals("worker=a.example:2222,10.0.0.2:65535 ps=[fe80::1]:1", cluster.toString());
  }

  @Test
  void isToTensorFlowWhatWasGiven() {
    assertEquals(
        "[::1]:2",
        Cluster.parse(List.of("a=h:1", "b=h:2,[::1]:2")).toProto().getJob(1).getTasksOrThrow(1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "worker | 'worker' is no JOB=HOST:PORT",
        "a:1,b:2 | 'a:1,b:2' is no JOB=HOST:PORT",
        "=a:1 | '=a:1' is no JOB=HOST:PORT",
        "2nd=a:1 | '2nd=a:1' is no JOB=HOST:PORT",
        "localhost=a:1 | a job cannot be called 'localhost', as the devices of the program itself",
        "worker= | in the job 'worker', '' is no HOST:PORT",
        "worker=a:1, | in the job 'worker', '' is no HOST:PORT",
        "worker=a | 'a' is no HOST:PORT",
        "worker=a: | 'a:' is no HOST:PORT",
        "worker=:1 | ':1' is no HOST:PORT",
        "worker=a:x | 'a:x' is no HOST:PORT",
        "worker=a:-1 | 'a:-1' is no HOST:PORT",
        "worker=a:0 | 0 is no port; 1 to 65535 are",
        "worker=a:65536 | 65536 is no port",
        "worker=a/b:1 | 'a/b:1' is no HOST:PORT",
        "worker=grpc://a:1 | 'grpc://a:1' is no HOST:PORT",
        "worker=::1:2222 | '::1:2222' is no HOST:PORT, such as 10.0.0.1:2222 or [::1]:2222",
        "worker=[a.example]:1 | 'a.example' is no number of IPv6",
        "worker=[127.0.0.1]:1 | '127.0.0.1' is no number of IPv6",
        "worker=[::g]:1 | '::g' is no number of IPv6",
        "worker=a:1,b:1,a:1 | 'a:1' is given twice",
      })
  void saysWhatIsWrongWithAJob(String job, String complaint) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Cluster.parse(List.of(job)))
            .getMessage();
    assertTrue(message.startsWith("cluster: "), message);
    assertTrue(message.contains(complaint), message);
    assertEquals(1, message.lines().count());
  }

  @ParameterizedTest
  @ValueSource(strings = {"worker=b:1", "ps=a:1"})
  void refusesWhatComesTwice(String second) {
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Cluster.parse(List.of("worker=a:1", second)))
            .getMessage();
    assertTrue(message.contains(" is given twice"), message);
  }

  @Test
  void needsAJob() {
    assertThrows(IllegalArgumentException.class, () -> Cluster.parse(List.of()));
  }

  @ParameterizedTest
  @CsvSource({
    "ps, 0, 'job: ''ps'' is not in the cluster, which has worker'",
    "worker, 2, 'task: 2 is not in the cluster, whose job ''worker'' has the tasks 0 to 1'",
    "worker, -1, 'task: -1 is not in the cluster, whose job ''worker'' has the tasks 0 to 1'"
  })
  void knowsOnlyItsOwnTasks(String job, int task, String complaint) {
    Cluster cluster = Cluster.parse(List.of("worker=a:1,b:1"));
    assertEquals(
        complaint,
        assertThrows(IllegalArgumentException.class, () -> cluster.address(new Task(job, task)))
            .getMessage());
  }
}
