package dev.adafactor.finetune;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.tensorflow.ndarray.Shape;

/**
 * Some of the rows of an array, one after the other.
 *
 * @param whole the array
 * @param first its first row that belongs to the range
 * @param rows how many do
 */
record RowRange(Rows whole, long first, long rows) implements Rows {

  @Override
  public Path path() {
    return whole.path();
  }

  @Override
  public List<Path> files() {
    if (first > 0) {
      throw new UnsupportedOperationException("the range begins within the files");
    }
    return whole.files();
  }

  @Override
  public NpyType type() {
    return whole.type();
  }

  @Override
  public Shape shape() {
    return whole.shape().tail().prepend(rows);
  }

  @Override
  public void copyRow(long row, ByteBuffer target) {
    whole.copyRow(first + row, target);
  }

  @Override
  public Place place(long row) {
    return whole.place(first + row);
  }
}
