package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class StacksTest {

  @Test
  void haveWhatIsAlikeUpToTheMostOfItsKind() {
    assertEquals(
        List.of(List.of("a1", "a2"), List.of("b1", "b2", "b3"), List.of("a3")),
        Stacks.of(
            List.of("a1", "b1", "a2", "b2", "a3", "b3"),
            item -> Optional.of(item.charAt(0)),
            kind -> kind == 'a' ? 2L : 9L));
  }

  @Test
  void leaveAloneWhatIsOfNoKind() {
    assertEquals(
        List.of(List.of("x"), List.of("a", "a"), List.of("x")),
        Stacks.of(
            List.of("x", "a", "x", "a"),
            item -> Optional.of(item).filter("a"::equals),
            kind -> 9L));
  }
}
