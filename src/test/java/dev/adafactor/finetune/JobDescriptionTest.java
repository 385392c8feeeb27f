package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.LearningRateSchedule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** Schedules that the Python beside it would not know. */
class JobDescriptionTest {
  private static final long LIMIT = 1 << 20;

  @TempDir Path folder;

  private record Registered() implements ConfigurableSchedule {
    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return tf.constant(0.1f);
    }

    @Override
    public String registeredName() {
      return "mine>Registered";
    }

    @Override
    public Map<String, Object> config() {
      return Map.of();
    }
  }

  private void assertRefused(LearningRateSchedule schedule, String part) throws IOException {
    FineTuning job =
        Digits.job()
            .optimizer(graph -> Adafactor.builder(graph).learningRate(schedule).build())
            .record(folder, LIMIT)
            .build();
    String message = assertThrows(IllegalArgumentException.class, job::run).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(1, message.lines().count());
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void refusesALearningRateThatIsCode() throws IOException {
    assertRefused((tf, step) -> tf.constant(0.1f), "the learning rate is code");
  }

  @Test
  void refusesAScheduleOfAPackageOfTheUsers() throws IOException {
    assertRefused(new Registered(), "'mine>Registered', which is none of tf_keras's own");
  }
}
