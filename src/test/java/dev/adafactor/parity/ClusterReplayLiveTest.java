package dev.adafactor.parity;

import dev.adafactor.OwnNetwork;
import dev.adafactor.mesh.WorkerProcesses;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;

/** {@link ClusterReplayTest} on more processes; for {@code -Dlive.full=true} alone. */
@Tag("live")
@EnabledIfSystemProperty(named = "live.full", matches = "true")
@ExtendWith(OwnNetwork.class)
class ClusterReplayLiveTest {

  @Test
  void goldensAreAsRecordedOnThreeProcesses() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(3)) {
      ClusterReplayTest.assertAsRecorded(workers, "x=3", 4);
    }
  }

  @Test
  void goldensAreAsRecordedOnEightProcesses() throws Exception {
    try (WorkerProcesses workers = new WorkerProcesses(8)) {
      ClusterReplayTest.assertAsRecorded(workers, "x=2,y=2,z=2", 5);
    }
  }
}
