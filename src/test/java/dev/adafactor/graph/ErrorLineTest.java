package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ErrorLineTest {

  @ParameterizedTest
  @CsvSource({
    "one, one",
    "'one\ntwo', one",
    "'\n one\n', one",
    "'From /job:worker/replica:0/task:1:\none\ntwo', From /job:worker/replica:0/task:1: one",
    "'From /job:a/task:1:\nFrom /job:b/task:2:\none', From /job:a/task:1: From /job:b/task:2: one",
    "'From /job:a/task:1:', From /job:a/task:1:",
    "'\n=====\nABORTED: From /job:a/task:1:\none\n=====\n', ABORTED: From /job:a/task:1: one",
    "'2 root error(s) found.\n  (0) ABORTED: one\n  (1) ABORTED: two', (0) ABORTED: one",
    "=====, =====",
    ", java.lang.IllegalStateException",
    "'', ''",
  })
  void isTheFirstWithWhereItIsFrom(String message, String line) {
    assertEquals(line, ErrorLine.of(new IllegalStateException(message)));
  }
}
