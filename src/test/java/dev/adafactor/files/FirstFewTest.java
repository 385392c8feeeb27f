package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class FirstFewTest {
  private static final List<Integer> FIVE = List.of(1, 2, 3, 4, 5);

  @Test
  void leavesOutWhatIsTooMuch() {
    FirstFew few = FirstFew.of(FIVE, 2);
    assertEquals("1, 2 and 3 more", few.asNames());
    assertEquals("[1, 2] and 3 more", few.asList());
    assertEquals("1; 2 (and 3 more)", few.asClauses());
  }

  @Test
  void countsNothingWhereAllAreShown() {
    FirstFew all = FirstFew.of(FIVE, 5);
    assertEquals("1, 2, 3, 4, 5", all.asNames());
    assertEquals("[1, 2, 3, 4, 5]", all.asList());
    assertEquals("1; 2; 3; 4; 5", all.asClauses());
    assertEquals("[]", FirstFew.of(List.of(), 3).asList());
  }

  @Test
  void groupsTheDigitsOfMany() {
    List<Integer> many = IntStream.range(0, 1235).boxed().toList();
    assertEquals("0 and 1,234 more", FirstFew.of(many, 1).asNames());
  }
}
