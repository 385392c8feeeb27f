package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class NaturalOrderTest {

  @Test
  void countsAsPeopleDo() {
    List<String> ordered =
        List.of("a", "part", "part-1", "part-2", "part-010", "part-10", "part-11b");
    List<String> shuffled = new ArrayList<>(ordered);
    Collections.shuffle(shuffled, new Random(1));
    shuffled.sort(NaturalOrder::compare);
    assertEquals(ordered, shuffled);
  }

  @Property(tries = 500)
  void isATotalOrder(
      @ForAll @StringLength(max = 4) @CharRange(from = '/', to = '2') String a,
      @ForAll @StringLength(max = 4) @CharRange(from = '/', to = '2') String b,
      @ForAll @StringLength(max = 4) @CharRange(from = '/', to = '2') String c) {
    assertEquals(
        Integer.signum(NaturalOrder.compare(a, b)), -Integer.signum(NaturalOrder.compare(b, a)));
    assertEquals(a.equals(b), NaturalOrder.compare(a, b) == 0);
    if (NaturalOrder.compare(a, b) <= 0 && NaturalOrder.compare(b, c) <= 0) {
      assertTrue(NaturalOrder.compare(a, c) <= 0);
    }
  }
}
