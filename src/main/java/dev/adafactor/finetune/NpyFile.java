package dev.adafactor.finetune;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tensorflow.ndarray.Shape;

/**
 * An array in NumPy's {@code .npy} format (versions 1 to 3), mapped into memory: only the rows that
 * are read are loaded, so it may be larger than memory.
 *
 * <p>Own code, because the Java libraries for this format (org.openlca:npy, JetBrains' npy) read
 * neither text nor half of a file: they load it whole.
 */
final class NpyFile implements Rows {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

  /** NumPy itself reads no more than 10,000 bytes without being asked to. */
  private static final int MAX_HEADER = 1 << 16;

  /** As many as NumPy has. */
  private static final int MAX_DIMENSIONS = 64;

  /** A mapping holds at most 2 GiB: larger files are mapped in windows of whole elements. */
  private static final int WINDOW_BYTES = 1 << 30;

  private static final Pattern DESCRIPTION =
      Pattern.compile("'descr'\\s*:\\s*('[^']*'|\\[.*]|\\(.*\\))\\s*,\\s*'fortran_order'");
  private static final Pattern FORTRAN_ORDER =
      Pattern.compile("'fortran_order'\\s*:\\s*(True|False)");
  private static final Pattern SHAPE = Pattern.compile("'shape'\\s*:\\s*\\(([\\d\\sL,]*)\\)");

  private final Path path;
  private final NpyType type;
  private final long[] dimensions;
  private final boolean fortranOrder;
  private final List<ByteBuffer> windows;
  private final int elementsPerWindow;
  private final int rowElements;

  private NpyFile(
      Path path,
      NpyType type,
      long[] dimensions,
      int rowElements,
      boolean fortranOrder,
      List<ByteBuffer> windows) {
    this.path = path;
    this.type = type;
    this.dimensions = dimensions;
    this.fortranOrder = fortranOrder;
    this.windows = windows;
    this.elementsPerWindow = elementsPerWindow(type);
    this.rowElements = rowElements;
  }

  /**
   * Reads the header and maps the data.
   *
   * @throws IOException if the file cannot be read, is no {@code .npy} file or is cut short
   * @throws IllegalArgumentException if it holds what is not read here, pickled objects above all
   */
  static NpyFile open(Path path) throws IOException {
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      throw new IOException(
          "%s: no ordinary file; a .npy file is wanted, as numpy.save writes it, or a folder of them"
              .formatted(path));
    }
    if (!Files.exists(path)) {
      throw new NoSuchFileException(
          "%s: no such file; a .npy file is wanted, as numpy.save writes it, or a folder of them"
              .formatted(path));
    }
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      requireNoArchive(channel, path);
      ByteBuffer start = read(channel, 0, 12, path);
      byte[] magic = new byte[MAGIC.length];
      start.get(magic);
      int version = start.get();
      if (!Arrays.equals(magic, MAGIC)) {
        throw new IOException("%s: not a .npy file; numpy.save writes one".formatted(path));
      }
      if (version < 1 || version > 3) {
        throw new IOException(
            "%s: .npy format version %d; versions 1 to 3 are read".formatted(path, version));
      }
      long length = version == 1 ? start.getShort(8) & 0xFFFF : start.getInt(8) & 0xFFFFFFFFL;
      if (length > MAX_HEADER) {
        throw new IOException("%s: damaged: a header of %d bytes".formatted(path, length));
      }
      int headerStart = version == 1 ? 10 : 12;
      ByteBuffer header = read(channel, headerStart, (int) length, path);
      return map(
          path, StandardCharsets.UTF_8.decode(header).toString(), channel, headerStart + length);
    }
  }

  /** What {@code numpy.savez} writes is a ZIP file. */
  private static void requireNoArchive(FileChannel channel, Path path) throws IOException {
    ByteBuffer start = ByteBuffer.allocate(4);
    channel.read(start, 0);
    if (Arrays.equals(start.array(), new byte[] {'P', 'K', 3, 4})) {
      throw new IOException(
          "%s: an archive, as numpy.savez writes it; an array of it, saved by numpy.save, is wanted"
              .formatted(path));
    }
  }

  private static NpyFile map(Path path, String header, FileChannel channel, long dataStart)
      throws IOException {
    NpyType type;
    try {
      type = NpyType.parse(field(DESCRIPTION, header, path).replace("'", ""));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(path + ": " + e.getMessage(), e);
    }
    boolean fortranOrder = field(FORTRAN_ORDER, header, path).equals("True");
    long[] dimensions;
    long rowElements;
    long bytes;
    try {
      dimensions =
          Arrays.stream(field(SHAPE, header, path).split(","))
              .map(dimension -> dimension.replace("L", "").strip())
              .filter(dimension -> !dimension.isEmpty())
              .mapToLong(Long::parseLong)
              .toArray();
      rowElements = Arrays.stream(dimensions).skip(1).reduce(1, Math::multiplyExact);
      bytes =
          dimensions.length == 0
              ? 0
              : Math.multiplyExact(
                  dimensions[0], Math.multiplyExact(rowElements, (long) type.size()));
    } catch (ArithmeticException | NumberFormatException e) {
      throw new IOException("%s: damaged: its shape is beyond all files".formatted(path), e);
    }
    if (dimensions.length == 0) {
      throw new IllegalArgumentException(
          "%s: holds a single value; an array with one row for each example is wanted"
              .formatted(path));
    }
    if (dimensions.length > MAX_DIMENSIONS) {
      throw new IOException(
          "%s: damaged: it has %d dimensions, %d at most are possible"
              .formatted(path, dimensions.length, MAX_DIMENSIONS));
    }
    if (rowElements > Integer.MAX_VALUE / Math.max(1, type.size())) {
      throw new IllegalArgumentException(
          "%s: a row of the shape %s of %s is too large; less than 2 GiB are wanted"
              .formatted(path, Shape.of(dimensions), type));
    }
    if (channel.size() - dataStart < bytes) {
      throw new IOException(
          "%s: cut short: %d bytes of data, %d belong to its shape %s of %s"
              .formatted(path, channel.size() - dataStart, bytes, Shape.of(dimensions), type));
    }
    List<ByteBuffer> windows = new ArrayList<>();
    long windowBytes = (long) elementsPerWindow(type) * type.size();
    for (long offset = 0; offset < bytes; offset += windowBytes) {
      windows.add(
          channel.map(
              MapMode.READ_ONLY, dataStart + offset, Math.min(windowBytes, bytes - offset)));
    }
    return new NpyFile(path, type, dimensions, (int) rowElements, fortranOrder, windows);
  }

  private static ByteBuffer read(FileChannel channel, long position, int length, Path path)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new IOException(
            "%s: not a .npy file, or cut short: it ends within its header".formatted(path));
      }
    }
    return buffer.flip();
  }

  private static String field(Pattern pattern, String header, Path path) throws IOException {
    Matcher matcher = pattern.matcher(header);
    if (!matcher.find()) {
      throw new IOException(
          "%s: damaged header, no %s in it".formatted(path, pattern.pattern().split("'", 3)[1]));
    }
    return matcher.group(1);
  }

  private static int elementsPerWindow(NpyType type) {
    return WINDOW_BYTES / Math.max(1, type.size());
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public List<Path> files() {
    return List.of(path);
  }

  @Override
  public NpyType type() {
    return type;
  }

  @Override
  public Shape shape() {
    return Shape.of(dimensions);
  }

  @Override
  public int rowElements() {
    return rowElements;
  }

  @Override
  public void copyRow(long row, ByteBuffer target) {
    if (fortranOrder) {
      copyElements(row, 1, 1, target);
    } else {
      copyRun(row * rowElements, rowElements, target);
    }
  }

  @Override
  public Place place(long row) {
    return new Place(path, row);
  }

  /** In Fortran order the first axis is the fastest: the elements of a row lie apart. */
  private void copyElements(long element, int axis, long outerElements, ByteBuffer target) {
    if (axis == dimensions.length) {
      copyRun(element, 1, target);
      return;
    }
    long stride = outerElements * dimensions[axis - 1];
    for (long i = 0; i < dimensions[axis]; i++) {
      copyElements(element + i * stride, axis + 1, stride, target);
    }
  }

  private void copyRun(long first, long count, ByteBuffer target) {
    long element = first;
    long left = count;
    while (left > 0 && type.size() > 0) {
      int start = (int) (element % elementsPerWindow);
      int run = (int) Math.min(left, elementsPerWindow - start);
      ByteBuffer window = windows.get((int) (element / elementsPerWindow));
      int bytes = run * type.size();
      target.put(target.position(), window, start * type.size(), bytes);
      target.position(target.position() + bytes);
      element += run;
      left -= run;
    }
  }

  @Override
  public String toString() {
    return "%s (%s %s)".formatted(path, type, shape());
  }
}
