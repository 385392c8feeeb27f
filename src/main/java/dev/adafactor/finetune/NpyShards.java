package dev.adafactor.finetune;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.tensorflow.ndarray.Shape;

/**
 * The {@code .npy} files of a folder as one array: their rows one after the other, in the {@link
 * NaturalOrder} of the files' names. What else is in the folder is let be.
 */
final class NpyShards implements Rows {
  private static final String SUFFIX = ".npy";

  private final Path folder;
  private final List<NpyFile> files;

  /** The first row of each file. */
  private final long[] starts;

  private final Shape shape;

  private NpyShards(Path folder, List<NpyFile> files) {
    this.folder = folder;
    this.files = files;
    this.starts = new long[files.size()];
    long rows = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = rows;
      rows += files.get(i).rows();
    }
    this.shape = files.get(0).shape().tail().prepend(rows);
  }

  /**
   * Opens all files.
   *
   * @throws IOException if there are none, or one cannot be read
   * @throws IllegalArgumentException if they do not have the same type and shape of a row
   */
  static NpyShards open(Path folder) throws IOException {
    List<Path> paths;
    try (Stream<Path> all = Files.list(folder)) {
      paths =
          all.filter(path -> path.getFileName().toString().endsWith(SUFFIX))
              .sorted((a, b) -> NaturalOrder.compare(name(a), name(b)))
              .toList();
    }
    if (paths.isEmpty()) {
      throw new IOException(
          "%s: the folder has no file *%s; one or more are wanted".formatted(folder, SUFFIX));
    }
    List<NpyFile> files = new ArrayList<>();
    for (Path path : paths) {
      files.add(NpyFile.open(path));
      requireSameRows(files.get(0), files.get(files.size() - 1));
    }
    return new NpyShards(folder, files);
  }

  private static String name(Path path) {
    return path.getFileName().toString();
  }

  private static void requireSameRows(NpyFile first, NpyFile other) {
    if (!other.type().equals(first.type()) || !other.shape().tail().equals(first.shape().tail())) {
      throw new IllegalArgumentException(
          "%s has rows of %s %s, but those of %s are of %s %s; the files of a folder hold one array"
              .formatted(
                  other.path(),
                  other.type(),
                  other.shape().tail(),
                  first.path(),
                  first.type(),
                  first.shape().tail()));
    }
  }

  @Override
  public Path path() {
    return folder;
  }

  @Override
  public List<Path> files() {
    return files.stream().map(NpyFile::path).toList();
  }

  @Override
  public NpyType type() {
    return files.get(0).type();
  }

  @Override
  public Shape shape() {
    return shape;
  }

  @Override
  public void copyRow(long row, ByteBuffer target) {
    int file = file(row);
    files.get(file).copyRow(row - starts[file], target);
  }

  @Override
  public Place place(long row) {
    int file = file(row);
    return files.get(file).place(row - starts[file]);
  }

  /** The last file that starts at or before the row: files without rows start where others do. */
  private int file(long row) {
    int found = Arrays.binarySearch(starts, row);
    int file = found >= 0 ? found : -found - 2;
    while (file + 1 < starts.length && starts[file + 1] <= row) {
      file++;
    }
    return file;
  }
}
