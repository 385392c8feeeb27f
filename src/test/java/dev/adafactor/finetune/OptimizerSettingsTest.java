package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.Adafactor;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;

class OptimizerSettingsTest {
  @Test
  void areTheShortestFormsOfWhatWasGiven() {
    try (Graph graph = new Graph()) {
      Map<String, String> settings =
          OptimizerSettings.of(
              Adafactor.builder(graph)
                  .learningRate(0.03)
                  .clipThreshold(Double.POSITIVE_INFINITY)
                  .build());
      assertEquals("0.03", settings.get("learning_rate"));
      assertEquals("Infinity", settings.get("clip_threshold"));
      assertEquals("null", settings.get("clipnorm"));
    }
  }

  @Test
  void ofALambdaThereAreNone() {
    try (Graph graph = new Graph()) {
      Adafactor adafactor =
          Adafactor.builder(graph).learningRate((tf, step) -> tf.constant(0.1f)).build();
      assertEquals(Map.of(), OptimizerSettings.of(adafactor));
    }
  }
}
