package dev.adafactor;

import java.util.ArrayList;
import java.util.List;
import org.tensorflow.ndarray.Shape;

/**
 * A part of a variable of rank 2 and more, which is a list of matrices: whole matrices, or whole
 * rows of one.
 *
 * @param matrix the first matrix
 * @param matrices how many
 * @param row the first row in each of them
 * @param rows how many
 */
record RowBlock(long matrix, long matrices, long row, long rows) {

  /** Tensors begin at such a number of bytes, and parts of them that do are no copies. */
  private static final int ALIGNMENT = 64;

  /**
   * Cuts a variable into blocks that are about as large as each other, in the order of the
   * elements.
   *
   * @param shape of rank 2 or more, with elements
   * @param elements about the most that a block may have; a row can have more
   */
  static List<RowBlock> of(Shape shape, long elements) {
    long columns = shape.get(-1);
    long rows = shape.get(-2);
    long matrices = shape.size() / rows / columns;
    List<RowBlock> blocks = new ArrayList<>();
    if (rows * columns <= elements) {
      long each = even(matrices, elements / (rows * columns), 1);
      for (long matrix = 0; matrix < matrices; matrix += each) {
        blocks.add(new RowBlock(matrix, Math.min(each, matrices - matrix), 0, rows));
      }
      return blocks;
    }
    long most = Math.max(1, elements / columns);
    long aligned = alignedRows(columns);
    long each = even(rows, most, aligned <= most ? aligned : 1);
    for (long matrix = 0; matrix < matrices; matrix++) {
      for (long row = 0; row < rows; row += each) {
        blocks.add(new RowBlock(matrix, 1, row, Math.min(each, rows - row)));
      }
    }
    return blocks;
  }

  /** The least number of rows after which elements of four bytes are aligned. */
  private static long alignedRows(long columns) {
    long lowest = Math.min(Long.lowestOneBit(columns), ALIGNMENT / Float.BYTES);
    return ALIGNMENT / Float.BYTES / lowest;
  }

  /** The size of parts of a whole, none larger than the most but to be a multiple of the unit. */
  private static long even(long whole, long most, long unit) {
    long parts = ceilDiv(whole, most);
    return ceilDiv(ceilDiv(whole, parts), unit) * unit;
  }

  private static long ceilDiv(long x, long y) {
    return -Math.floorDiv(-x, y);
  }
}
