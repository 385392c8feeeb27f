package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.parity.ElementType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the programs are scripts of a shell")
class ChildContenderTest {
  private static final Workload WORKLOAD =
      new Workload(
          new ShapeSet("test", List.of(Parameter.dense("vector", 5))), ElementType.FLOAT32, 1);

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "echo chatter >&2; echo it wants more >&2; exit 3 | it wants more",
        "exit 0 | it has ended without a word",
        "echo chatter >&2; kill -9 $$ | ended by signal 9 (9: memory ran out)",
        "read line; echo no JSON | an answer that is no JSON: no JSON",
        "read line; echo 5 | no answer, but 5"
      })
  void tellsWhyThereIsNoAnswer(String script, String reason) {
    IOException thrown =
        assertThrows(
            IOException.class,
            () -> new ChildContender(List.of("sh", "-c", script), folder.resolve("log"), WORKLOAD));
    assertEquals(reason, thrown.getMessage());
  }
}
