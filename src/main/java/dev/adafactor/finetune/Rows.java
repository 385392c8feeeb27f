package dev.adafactor.finetune;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.tensorflow.ndarray.Shape;

/** An array on disk whose first dimension counts the examples. */
sealed interface Rows permits NpyFile, NpyShards, RowRange {

  /** A row of a file, counted from 0. */
  record Place(Path file, long row) {}

  /**
   * Opens a {@code .npy} file, or a folder of them.
   *
   * @throws IOException if a file cannot be read or is damaged
   * @throws IllegalArgumentException if what the files hold is not read here, or does not go
   *     together
   */
  static Rows open(Path path) throws IOException {
    return Files.isDirectory(path) ? NpyShards.open(path) : NpyFile.open(path);
  }

  /** The file or folder that the user named. */
  Path path();

  /** The files that its rows are in, one after the other; the first row is the first file's. */
  List<Path> files();

  /** The type of the elements. */
  NpyType type();

  /** All dimensions; the first counts the rows. */
  Shape shape();

  /**
   * Copies the elements of a row, in C order and in the bytes of the file, to the position of a
   * buffer, which moves on.
   */
  void copyRow(long row, ByteBuffer target);

  /** Where a row lies. */
  Place place(long row);

  /** The first dimension. */
  default long rows() {
    return shape().get(0);
  }

  /** Elements of a row. */
  default int rowElements() {
    return Math.toIntExact(shape().tail().size());
  }
}
