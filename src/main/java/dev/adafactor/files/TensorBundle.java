package dev.adafactor.files;

import com.google.protobuf.InvalidProtocolBufferException;
import java.io.EOFException;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.zip.CRC32C;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.BundleEntryProto;
import org.tensorflow.proto.BundleHeaderProto;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.TensorSliceProto;

/**
 * The files in which TensorFlow keeps the values of variables: an index, a table in the format of
 * LevelDB, and shards with the values. Read without native code, so that what is damaged is found,
 * and what is in it known, before anything is restored.
 */
public final class TensorBundle {
  private static final long MAGIC = 0xdb4775248b80fb57L;
  private static final int FOOTER = 48;

  /** Behind each block: its compression, one byte, and a checksum. */
  private static final int TRAILER = 5;

  private static final int PART = 1 << 20;

  private static final long LARGEST_INDEX = 1L << 28;

  private static final long LARGEST_STRING = 1L << 30;

  private static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

  /**
   * Keys are stored as what differs from the one before; a new beginning is made every 16 rows, so
   * that all of them together have no more than so many times the bytes of the table.
   */
  private static final int MOST_SHARED = 64;

  /** Keeps any bytes apart; not all keys are text. */
  private static final Charset BYTES = StandardCharsets.ISO_8859_1;

  private final Path prefix;
  private final int shards;
  private final Map<String, BundleEntryProto> entries;

  private TensorBundle(Path prefix, int shards, Map<String, BundleEntryProto> entries) {
    this.prefix = prefix;
    this.shards = shards;
    this.entries = Collections.unmodifiableMap(entries);
  }

  /**
   * Reads the index.
   *
   * @param prefix what the files' names begin with: {@code variables/variables}, {@code ckpt-7}
   * @throws IOException if the index or a shard is missing or cut off, or the index is damaged
   */
  public static TensorBundle read(Path prefix) throws IOException {
    Path index = sibling(prefix, ".index");
    if (!Files.isRegularFile(index)) {
      throw new IOException("there is no '" + index + "'");
    }
    if (Files.size(index) > LARGEST_INDEX) {
      throw new IOException("'%s' is too large: %,d bytes".formatted(index, Files.size(index)));
    }
    Map<String, BundleEntryProto> entries = new LinkedHashMap<>();
    int shards = 0;
    try {
      for (Map.Entry<String, byte[]> row : rows(Files.readAllBytes(index)).entrySet()) {
        if (row.getKey().isEmpty()) {
          BundleHeaderProto header = BundleHeaderProto.parseFrom(row.getValue());
          if (header.getEndianness() != BundleHeaderProto.Endianness.LITTLE) {
            throw new IOException("'" + index + "' comes from a machine with another byte order");
          }
          shards = header.getNumShards();
        } else {
          entries.put(row.getKey(), BundleEntryProto.parseFrom(row.getValue()));
        }
      }
    } catch (InvalidProtocolBufferException
        | BufferUnderflowException
        | ArithmeticException
        | IllegalArgumentException
        | IndexOutOfBoundsException e) {
      throw new IOException("'" + index + "' is damaged", e);
    }
    TensorBundle bundle = new TensorBundle(prefix, shards, entries);
    bundle.requireShards();
    return bundle;
  }

  private void requireShards() throws IOException {
    Map<Integer, Long> needed = new LinkedHashMap<>();
    for (Map.Entry<String, BundleEntryProto> row : inOrder()) {
      BundleEntryProto entry = row.getValue();
      // Values share no bytes: what is read is never more than the files.
      boolean overlaps =
          entry.getSize() > 0 && entry.getOffset() < needed.getOrDefault(entry.getShardId(), 0L);
      if (!isConsistent(entry) || overlaps) {
        throw new IOException(
            "'%s' is damaged: what it says of '%s' cannot be"
                .formatted(sibling(prefix, ".index"), row.getKey()));
      }
      if (entry.getSize() > 0) {
        needed.put(entry.getShardId(), entry.getOffset() + entry.getSize());
      }
    }
    for (Map.Entry<Integer, Long> shard : needed.entrySet()) {
      Path file = shard(shard.getKey());
      if (!Files.isRegularFile(file)) {
        throw new IOException("there is no '" + file + "'");
      }
      if (Files.size(file) < shard.getValue()) {
        throw new IOException(
            "'%s' is cut off: it has %,d bytes in place of %,d"
                .formatted(file, Files.size(file), shard.getValue()));
      }
    }
  }

  private List<Map.Entry<String, BundleEntryProto>> inOrder() {
    return entries.entrySet().stream()
        .sorted(Comparator.comparingLong(row -> row.getValue().getOffset()))
        .toList();
  }

  private boolean isConsistent(BundleEntryProto entry) {
    if (entry.getShardId() < 0
        || entry.getShardId() >= shards
        || entry.getOffset() < 0
        || entry.getSize() < 0
        || entry.getOffset() > Long.MAX_VALUE - entry.getSize()
        || entry.getDtype() == DataType.DT_INVALID
        || entry.getDtype() == DataType.UNRECOGNIZED
        || entry.getShape().getUnknownRank()
        || entry.getShape().getDimList().stream().anyMatch(dim -> dim.getSize() < 0)) {
      return false;
    }
    if (entry.getSlicesCount() > 0) {
      return entry.getSize() == 0
          && entry.getSlicesList().stream().allMatch(slice -> isWithin(slice, entry.getShape()));
    }
    int width = width(entry.getDtype());
    return width == 0 || isSize(entry, width);
  }

  /** Whether a part of a partitioned variable, whose values have rows of their own, is one. */
  private static boolean isWithin(TensorSliceProto slice, TensorShapeProto shape) {
    if (slice.getExtentCount() != shape.getDimCount()) {
      return false;
    }
    for (int i = 0; i < slice.getExtentCount(); i++) {
      TensorSliceProto.Extent extent = slice.getExtent(i);
      long size = shape.getDim(i).getSize();
      // Without a length it is all of the dimension.
      if (extent.hasLength()
          ? extent.getStart() < 0
              || extent.getStart() > size
              || extent.getLength() < 0
              || extent.getLength() > size - extent.getStart()
          : extent.getStart() != 0) {
        return false;
      }
    }
    return true;
  }

  private static boolean isSize(BundleEntryProto entry, int width) {
    long bytes = width;
    try {
      for (TensorShapeProto.Dim dimension : entry.getShape().getDimList()) {
        bytes = Math.multiplyExact(bytes, dimension.getSize());
      }
    } catch (ArithmeticException e) {
      return false;
    }
    return bytes == entry.getSize();
  }

  /** Bytes of an element; 0 for types that are stored in ways of their own. */
  private static int width(DataType type) {
    return switch (type) {
      case DT_BOOL, DT_INT8, DT_UINT8 -> 1;
      case DT_HALF, DT_BFLOAT16, DT_INT16, DT_UINT16 -> 2;
      case DT_FLOAT, DT_INT32, DT_UINT32 -> 4;
      case DT_DOUBLE, DT_INT64, DT_UINT64, DT_COMPLEX64 -> 8;
      case DT_COMPLEX128 -> 16;
      default -> 0;
    };
  }

  /** What the files' names begin with. */
  public Path prefix() {
    return prefix;
  }

  /** The tensors by name. */
  public Map<String, TensorKind> tensors() {
    Map<String, TensorKind> tensors = new LinkedHashMap<>();
    entries.forEach(
        (name, entry) ->
            tensors.put(name, new TensorKind(entry.getDtype(), shape(entry.getShape()))));
    return tensors;
  }

  private static Shape shape(TensorShapeProto shape) {
    return Shape.of(shape.getDimList().stream().mapToLong(TensorShapeProto.Dim::getSize).toArray());
  }

  /** What a tensor of floats holds beside finite numbers; of other types it is nothing. */
  public enum Extreme {
    NONE,
    INFINITE,
    NAN
  }

  /**
   * Reads all values, and compares them with their checksums.
   *
   * @return the worst among the elements of each tensor of numbers
   * @throws IOException if a value is damaged; the message names its tensor
   */
  public Map<String, Extreme> requireIntact() throws IOException {
    Map<String, Extreme> extremes = new LinkedHashMap<>();
    for (Map.Entry<String, BundleEntryProto> row : entries.entrySet()) {
      BundleEntryProto entry = row.getValue();
      if (entry.getDtype() == DataType.DT_STRING) {
        if (entry.getShape().getDimCount() == 0) {
          string(row.getKey());
        }
      } else if (entry.getDtype() != DataType.DT_VARIANT && entry.getSlicesCount() == 0) {
        extremes.put(row.getKey(), requireIntact(row.getKey(), entry));
      }
    }
    return extremes;
  }

  private Extreme requireIntact(String name, BundleEntryProto entry) throws IOException {
    CRC32C checksum = new CRC32C();
    Extreme worst = Extreme.NONE;
    ByteBuffer part = ByteBuffer.allocate((int) Math.min(PART, entry.getSize()));
    part.order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(shard(entry.getShardId()))) {
      long end = entry.getOffset() + entry.getSize();
      for (long at = entry.getOffset(); at < end; at += part.limit()) {
        part.clear().limit((int) Math.min(part.capacity(), end - at));
        readFully(channel, part, at);
        checksum.update(part.flip());
        worst = worse(worst, extreme(part.rewind(), entry.getDtype()));
      }
    }
    requireChecksum(name, entry, checksum);
    return worst;
  }

  private static Extreme worse(Extreme one, Extreme other) {
    return one.compareTo(other) >= 0 ? one : other;
  }

  /** The worst among elements. */
  private static Extreme extreme(ByteBuffer elements, DataType type) {
    long infinity =
        switch (type) {
          case DT_HALF -> 0x7c00L;
          case DT_BFLOAT16 -> 0x7f80L;
          case DT_FLOAT -> 0x7f800000L;
          case DT_DOUBLE -> 0x7ff0000000000000L;
          default -> 0;
        };
    if (infinity == 0) {
      return Extreme.NONE;
    }
    int width = width(type);
    long largest = 0;
    while (elements.hasRemaining()) {
      largest = Math.max(largest, magnitude(elements, width));
    }
    if (largest > infinity) {
      return Extreme.NAN;
    }
    return largest == infinity ? Extreme.INFINITE : Extreme.NONE;
  }

  /** The bits of the next element without its sign: in the order of the numbers, NaN last. */
  private static long magnitude(ByteBuffer elements, int width) {
    return switch (width) {
      case Short.BYTES -> elements.getShort() & 0x7fff;
      case Integer.BYTES -> elements.getInt() & 0x7fffffff;
      default -> elements.getLong() & Long.MAX_VALUE;
    };
  }

  /**
   * The value of a tensor that is one string.
   *
   * @throws IOException if it is damaged or missing
   */
  public byte[] string(String name) throws IOException {
    BundleEntryProto entry = entries.get(name);
    if (entry == null
        || entry.getDtype() != DataType.DT_STRING
        || entry.getShape().getDimCount() != 0) {
      throw new IOException("'" + prefix + "' holds no string '" + name + "'");
    }
    if (entry.getSize() > LARGEST_STRING) {
      throw new IOException(
          "'%s' is damaged: its '%s' of %,d bytes is too large"
              .formatted(prefix, name, entry.getSize()));
    }
    ByteBuffer raw = ByteBuffer.allocate((int) entry.getSize()).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(shard(entry.getShardId()))) {
      readFully(channel, raw, entry.getOffset());
    }
    raw.flip();
    CRC32C checksum = new CRC32C();
    try {
      long length = varint(raw);
      ByteBuffer lengths =
          length <= 0xffffffffL
              ? ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt((int) length)
              : ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
      checksum.update(lengths.flip());
      byte[] rest = new byte[raw.remaining()];
      raw.get(rest);
      checksum.update(rest);
      requireChecksum(name, entry, checksum);
      return Arrays.copyOfRange(rest, Integer.BYTES, rest.length);
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      throw damaged(name, entry);
    }
  }

  /**
   * The value of a tensor that is one number of type int64; empty if it is another.
   *
   * @throws IOException if it cannot be read
   */
  public OptionalLong integer(String name) throws IOException {
    BundleEntryProto entry = entries.get(name);
    if (entry.getDtype() != DataType.DT_INT64 || entry.getSize() != Long.BYTES) {
      return OptionalLong.empty();
    }
    ByteBuffer value = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel channel = FileChannel.open(shard(entry.getShardId()))) {
      readFully(channel, value, entry.getOffset());
    }
    return OptionalLong.of(value.getLong(0));
  }

  /**
   * The elements of a tensor of numbers as they are in the file: in C order, little-endian.
   *
   * @throws IOException if it is damaged or missing, or is not one array of numbers of less than 2
   *     GiB
   */
  public byte[] elements(String name) throws IOException {
    BundleEntryProto entry = entries.get(name);
    if (entry == null
        || width(entry.getDtype()) == 0
        || entry.getSlicesCount() > 0
        || entry.getSize() > LARGEST_ARRAY) {
      throw new IOException(
          "'" + prefix + "' holds no array '" + name + "' that can be read whole");
    }
    ByteBuffer elements = ByteBuffer.allocate((int) entry.getSize());
    try (FileChannel channel = FileChannel.open(shard(entry.getShardId()))) {
      readFully(channel, elements, entry.getOffset());
    }
    CRC32C checksum = new CRC32C();
    checksum.update(elements.flip());
    requireChecksum(name, entry, checksum);
    return elements.array();
  }

  private void requireChecksum(String name, BundleEntryProto entry, CRC32C checksum)
      throws IOException {
    if (masked(checksum) != entry.getCrc32C()) {
      throw damaged(name, entry);
    }
  }

  private IOException damaged(String name, BundleEntryProto entry) {
    return new IOException(
        "'%s' is damaged: the value of '%s' does not have its checksum"
            .formatted(shard(entry.getShardId()), name));
  }

  private Path shard(int shard) {
    return sibling(prefix, ".data-%05d-of-%05d".formatted(shard, shards));
  }

  private static Path sibling(Path prefix, String suffix) {
    return prefix.resolveSibling(prefix.getFileName() + suffix);
  }

  private static void readFully(FileChannel channel, ByteBuffer into, long at) throws IOException {
    long next = at;
    while (into.hasRemaining()) {
      int count = channel.read(into, next);
      if (count < 0) {
        throw new EOFException("the file ends too early");
      }
      next += count;
    }
  }

  /** All rows of a table. */
  static Map<String, byte[]> rows(byte[] table) throws IOException {
    ByteBuffer footer =
        ByteBuffer.wrap(table, table.length - FOOTER, FOOTER).order(ByteOrder.LITTLE_ENDIAN);
    if (footer.getLong(table.length - Long.BYTES) != MAGIC) {
      throw new IllegalArgumentException("no table");
    }
    block(table, varint(footer), varint(footer)); // of meta data: none, but to be intact
    Map<String, byte[]> rows = new LinkedHashMap<>();
    long bytes = 0;
    for (byte[] handle : block(table, varint(footer), varint(footer)).values()) {
      ByteBuffer place = ByteBuffer.wrap(handle);
      long offset = varint(place);
      long size = varint(place);
      bytes += size;
      if (bytes > table.length) {
        throw new IllegalArgumentException("blocks that overlap");
      }
      block(table, offset, size)
          .forEach(
              (name, value) ->
                  rows.put(new String(name.getBytes(BYTES), StandardCharsets.UTF_8), value));
    }
    return rows;
  }

  private static Map<String, byte[]> block(byte[] table, long offset, long size) {
    int start = Math.toIntExact(offset);
    int length = Math.toIntExact(size);
    ByteBuffer content = ByteBuffer.wrap(table, start, length + TRAILER);
    content.order(ByteOrder.LITTLE_ENDIAN);
    CRC32C checksum = new CRC32C();
    checksum.update(table, start, length + 1);
    if (table[start + length] != 0 || content.getInt(start + length + 1) != masked(checksum)) {
      throw new IllegalArgumentException("damaged block");
    }
    int restarts = content.getInt(start + length - Integer.BYTES);
    content.limit(start + length - Integer.BYTES * (restarts + 1));
    Map<String, byte[]> rows = new LinkedHashMap<>();
    byte[] key = {};
    long keyBytes = 0;
    while (content.hasRemaining()) {
      int shared = length(varint(content), key.length);
      int own = length(varint(content), content.remaining());
      int valueLength = length(varint(content), content.remaining() - own);
      keyBytes += shared + own;
      if (keyBytes > (long) MOST_SHARED * table.length) {
        throw new IllegalArgumentException("keys grow without end");
      }
      byte[] next = Arrays.copyOf(key, shared + own);
      content.get(next, shared, own);
      byte[] value = new byte[valueLength];
      content.get(value);
      rows.put(new String(next, BYTES), value);
      key = next;
    }
    return rows;
  }

  private static int length(long length, int most) {
    if (length < 0 || length > most) {
      throw new IllegalArgumentException("no length");
    }
    return (int) length;
  }

  private static long varint(ByteBuffer buffer) {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte part = buffer.get();
      value |= (long) (part & 0x7f) << shift;
      if (part >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("no number");
  }

  /** As TensorFlow stores checksums: rotated, and moved by a constant. */
  private static int masked(CRC32C checksum) {
    int value = (int) checksum.getValue();
    return (value >>> 15 | value << 17) + 0xa282ead8;
  }
}
