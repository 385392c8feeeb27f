package dev.adafactor.files;

import com.google.protobuf.Message;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.tensorflow.proto.BundleEntryProto;
import org.tensorflow.proto.BundleHeaderProto;
import org.tensorflow.proto.TensorShapeProto;

/** Changes a bundle of one shard, so that its checksums are right all the same. */
public final class Bundles {
  private Bundles() {}

  /**
   * Changes a tensor.
   *
   * @param name begins its name
   * @param change gets its bytes, little-endian
   */
  public static void change(Path prefix, String name, Consumer<ByteBuffer> change)
      throws IOException {
    rewrite(
        prefix,
        name,
        (entry, data) -> {
          int at = (int) entry.getOffset();
          int size = (int) entry.getSize();
          change.accept(ByteBuffer.wrap(data, at, size).slice().order(ByteOrder.LITTLE_ENDIAN));
          CRC32C checksum = new CRC32C();
          checksum.update(data, at, size);
          return Optional.of(
              entry.toBuilder()
                  .setCrc32C(Integer.rotateRight((int) checksum.getValue(), 15) + 0xa282ead8)
                  .build());
        });
  }

  /** Gives a tensor another shape of as many elements. */
  public static void reshape(Path prefix, String name, long... sizes) throws IOException {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long size : sizes) {
      shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(size));
    }
    rewrite(prefix, name, (entry, data) -> Optional.of(entry.toBuilder().setShape(shape).build()));
  }

  /** Takes a tensor out; its bytes are left. */
  public static void remove(Path prefix, String name) throws IOException {
    rewrite(prefix, name, (entry, data) -> Optional.empty());
  }

  private interface Rewriting {
    Optional<BundleEntryProto> of(BundleEntryProto entry, byte[] data);
  }

  private static void rewrite(Path prefix, String name, Rewriting rewriting) throws IOException {
    Path index = prefix.resolveSibling(prefix.getFileName() + ".index");
    Path shard = prefix.resolveSibling(prefix.getFileName() + ".data-00000-of-00001");
    byte[] data = Files.readAllBytes(shard);
    Map<String, Message> rows = new LinkedHashMap<>();
    boolean found = false;
    for (Map.Entry<String, byte[]> row : TensorBundle.rows(Files.readAllBytes(index)).entrySet()) {
      if (row.getKey().isEmpty()) {
        rows.put("", BundleHeaderProto.parseFrom(row.getValue()));
        continue;
      }
      BundleEntryProto entry = BundleEntryProto.parseFrom(row.getValue());
      if (row.getKey().startsWith(name)) {
        found = true;
        rewriting.of(entry, data).ifPresent(other -> rows.put(row.getKey(), other));
      } else {
        rows.put(row.getKey(), entry);
      }
    }
    if (!found) {
      throw new IllegalArgumentException("no tensor begins with " + name);
    }
    Files.write(index, IndexFile.of(rows));
    Files.write(shard, data);
  }
}
