package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NamesTest {

  @ParameterizedTest
  @CsvSource({
    "dense_1.w-2, dense_1.w-2",
    "dense/kernel, dense_kernel",
    "my optimizer, my_optimizer",
    "_hidden, v_hidden",
    "-1, v-1",
    "'', v",
    "é, v_",
  })
  void replacesWhatTensorFlowForbids(String name, String sanitized) {
    assertEquals(sanitized, Names.sanitize(name));
  }

  @Property(tries = 200)
  void alwaysGivesOneComponentOfAName(@ForAll String name) {
    String sanitized = Names.sanitize(name);
    assertTrue(sanitized.matches("[A-Za-z0-9.][A-Za-z0-9_.\\-]*"), sanitized);
    assertEquals(sanitized, Names.sanitize(sanitized));
  }
}
