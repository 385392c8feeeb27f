package dev.adafactor.finetune;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.Adafactor;
import dev.adafactor.files.PythonJson;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** The arguments of an optimizer that its course depends on, as text. */
final class OptimizerSettings {
  private static final Set<String> WITHOUT_EFFECT = Set.of("name", "jit_compile");

  private OptimizerSettings() {}

  /** By tf_keras's names; empty where the learning rate is code, which has no text. */
  static Map<String, String> of(Adafactor adafactor) {
    Map<String, String> settings = new LinkedHashMap<>();
    try {
      JsonNode config = PythonJson.MAPPER.readTree(adafactor.toJson());
      config
          .fieldNames()
          .forEachRemaining(
              name -> {
                if (!WITHOUT_EFFECT.contains(name)) {
                  settings.put(name, text(config.get(name)));
                }
              });
    } catch (IllegalStateException e) {
      return Map.of();
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("the configuration is no JSON", e);
    }
    return settings;
  }

  /** Numbers went through float32, as tf_keras's do; their shortest form is what a user gave. */
  private static String text(JsonNode value) {
    return value.isFloatingPointNumber()
        ? Float.toString((float) value.doubleValue())
        : value.toString();
  }
}
