package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

class SpanTest {
  @Property
  void everyStepIsInOneOfFewSpans(@ForAll @IntRange(min = 1, max = 100_000) int steps) {
    List<Span> spans = Span.of(steps);
    assertTrue(spans.size() <= 200, spans.size() + " spans");
    int next = 0;
    for (Span span : spans) {
      assertEquals(next, span.first());
      assertTrue(span.last() >= span.first());
      next = span.last() + 1;
    }
    assertEquals(steps, next);
    if (steps <= 200) {
      assertEquals(steps, spans.size());
    }
  }
}
