package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.op.Ops;

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

  @ParameterizedTest
  @ValueSource(
      strings = {
        "w", "layer/w", ".w", "3", "a>b", "w/", "a//b", "", " ", "my var", "_w", "-w", "/w", ">w",
        "a>", "a>_b", "a\\b", "w:0", "é", "w\n"
      })
  void knowsWhatTensorFlowAdmits(String name) {
    try (Graph graph = new Graph()) {
      graph.opBuilder("NoOp", name, Ops.create(graph).scope()).build();
      try (Session session = new Session(graph)) {
        Runnable run = () -> session.run(Ops.create(graph).constant(1));
        if (Names.isValid(name)) {
          run.run();
        } else {
          assertThrows(TFInvalidArgumentException.class, run::run);
        }
      }
    }
  }

  @Property(tries = 200)
  void alwaysGivesOneComponentOfAName(@ForAll String name) {
    String sanitized = Names.sanitize(name);
    assertTrue(sanitized.matches("[A-Za-z0-9.][A-Za-z0-9_.\\-]*"), sanitized);
    assertEquals(sanitized, Names.sanitize(sanitized));
  }
}
