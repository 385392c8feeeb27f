package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.SortedSet;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class SnapshotStepsTest {
  @Property
  void hasTheLastStepAndNoMoreThanWanted(
      @ForAll @LongRange(min = 1, max = 1_000_000) long total,
      @ForAll @IntRange(min = 1, max = 30) int count) {
    SortedSet<Long> steps = SnapshotSteps.of(total, count);
    assertEquals(total, steps.last());
    assertTrue(steps.first() >= 1);
    assertEquals(Math.min(total, count), steps.size());
  }

  @Test
  void beginsWithTheFirstSteps() {
    assertEquals(List.of(1L, 2L, 3L, 4L), List.copyOf(SnapshotSteps.of(500, 20)).subList(0, 4));
  }

  @Test
  void takesTheLastAloneWhereThereIsRoomForNoMore() {
    assertEquals(List.of(500L), List.copyOf(SnapshotSteps.of(500, 1)));
  }
}
