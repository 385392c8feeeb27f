package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.schedules.ConfigReader;
import dev.adafactor.schedules.ScheduleRegistry;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

class NoamScheduleTest {
  @Test
  void risesThenFalls() {
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      Ops tf = Ops.create(graph);
      NoamSchedule schedule = new NoamSchedule(0.5, 4);
      float[] expected = {0.0625f, 0.125f, 0.1875f, 0.25f, 0.5f / (float) Math.sqrt(5)};
      for (int step = 0; step < expected.length; step++) {
        var rate = schedule.learningRate(tf, tf.constant((long) step));
        try (var result = session.runner().fetch(rate).run()) {
          assertEquals(expected[step], ((TFloat32) result.get(0)).getFloat(), 1e-7f);
        }
      }
    }
  }

  @Test
  void aMissingNumberIsNamed() {
    ConfigReader config =
        new ConfigReader(NoamSchedule.NAME, Map.of("base", 1), ScheduleRegistry.standard());
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> NoamSchedule.of(config));
    assertEquals("TestNoam: the argument `warmup` is missing", refused.getMessage());
  }
}
