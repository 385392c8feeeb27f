package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class VariableKeyTest {
  @Test
  void aKeyTellsItsPath() {
    String key = VariableKey.of("layer_with_weights-0/kernel");

    assertEquals("layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE", key);
    assertEquals(Optional.of("layer_with_weights-0/kernel"), VariableKey.path(key));
  }

  @Test
  void otherKeysAreOfNoVariable() {
    assertEquals(Optional.empty(), VariableKey.path("_CHECKPOINTABLE_OBJECT_GRAPH"));
    assertEquals(Optional.empty(), VariableKey.path("layer/kernel/.ATTRIBUTES/OBJECT_CONFIG_JSON"));
  }

  @Test
  void aNameWithSlashesAndDotsIsOneStep() {
    assertEquals("b..0.Sw", VariableKey.step("b.0/w"));
  }
}
