package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.ndarray.Shape;

class RowBlockTest {

  @Property
  void followEachOtherFromTheFirstElementToTheLast(
      @ForAll @IntRange(min = 1, max = 4) int matrices,
      @ForAll @IntRange(min = 1, max = 300) int rows,
      @ForAll @IntRange(min = 1, max = 70) int columns,
      @ForAll @IntRange(min = 1, max = 5000) int limit) {
    Shape shape = matrices == 1 ? Shape.of(rows, columns) : Shape.of(1, matrices, rows, columns);
    long next = 0;
    for (RowBlock block : RowBlock.of(shape, limit)) {
      assertEquals(next, (block.matrix() * rows + block.row()) * columns);
      assertTrue(block.matrices() == 1 || (block.row() == 0 && block.rows() == rows));
      long size = block.matrices() * block.rows() * columns;
      // Up to 15 rows more, for the sake of alignment, where so many are no more than the limit.
      assertTrue(size <= Math.max(2 * limit, columns), block.toString());
      boolean endsMatrix = block.row() + block.rows() == rows;
      boolean aligned = (next + size) % 16 == next % 16;
      assertTrue(endsMatrix || aligned || 16L * columns > limit, block.toString());
      next += size;
    }
    assertEquals(shape.size(), next);
  }

  @Example
  void areAboutAsLargeAsEachOther() {
    List<Long> rows =
        RowBlock.of(Shape.of(30522, 768), 1 << 20).stream().map(RowBlock::rows).toList();
    assertEquals(23, rows.size());
    assertEquals(List.of(1328L), rows.subList(0, 22).stream().distinct().toList());
  }

  @Example
  void keepSmallMatricesTogether() {
    assertEquals(
        List.of(new RowBlock(0, 3, 0, 512), new RowBlock(3, 3, 0, 512), new RowBlock(6, 3, 0, 512)),
        RowBlock.of(Shape.of(3, 3, 512, 512), 1 << 20));
  }
}
