package dev.adafactor.files;

import com.google.protobuf.Message;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.tensorflow.proto.BundleEntryProto;
import org.tensorflow.proto.BundleHeaderProto;

/** Changes values in a bundle of one shard, so that their checksums are right all the same. */
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
    Path index = prefix.resolveSibling(prefix.getFileName() + ".index");
    Path shard = prefix.resolveSibling(prefix.getFileName() + ".data-00000-of-00001");
    byte[] data = Files.readAllBytes(shard);
    Map<String, Message> rows = new LinkedHashMap<>();
    for (Map.Entry<String, byte[]> row : TensorBundle.rows(Files.readAllBytes(index)).entrySet()) {
      if (row.getKey().isEmpty()) {
        rows.put("", BundleHeaderProto.parseFrom(row.getValue()));
        continue;
      }
      BundleEntryProto entry = BundleEntryProto.parseFrom(row.getValue());
      if (row.getKey().startsWith(name)) {
        int at = (int) entry.getOffset();
        int size = (int) entry.getSize();
        change.accept(ByteBuffer.wrap(data, at, size).slice().order(ByteOrder.LITTLE_ENDIAN));
        CRC32C checksum = new CRC32C();
        checksum.update(data, at, size);
        entry =
            entry.toBuilder()
                .setCrc32C(Integer.rotateRight((int) checksum.getValue(), 15) + 0xa282ead8)
                .build();
      }
      rows.put(row.getKey(), entry);
    }
    Files.write(index, IndexFile.of(rows));
    Files.write(shard, data);
  }
}
