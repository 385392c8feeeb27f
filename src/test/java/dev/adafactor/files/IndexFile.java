package dev.adafactor.files;

import com.google.protobuf.Message;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.CRC32C;

/** Writes a bundle's index, whatever it says: with checksums that are right. */
final class IndexFile {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private IndexFile() {}

  /** The bytes of an index. */
  static byte[] of(Map<String, Message> rows) {
    IndexFile index = new IndexFile();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    rows.forEach((key, value) -> row(data, key, value.toByteArray()));
    byte[] place = index.block(data.toByteArray());
    ByteArrayOutputStream places = new ByteArrayOutputStream();
    row(places, "~", place);
    byte[] meta = index.block(new byte[0]);
    byte[] root = index.block(places.toByteArray());
    ByteBuffer footer = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN);
    footer.put(meta).put(root).putLong(40, 0xdb4775248b80fb57L);
    index.out.writeBytes(footer.array());
    return index.out.toByteArray();
  }

  private static void row(ByteArrayOutputStream block, String key, byte[] value) {
    byte[] name = key.getBytes(StandardCharsets.UTF_8);
    varint(block, 0);
    varint(block, name.length);
    varint(block, value.length);
    block.writeBytes(name);
    block.writeBytes(value);
  }

  /** Writes rows, and tells where they are. */
  private byte[] block(byte[] rows) {
    ByteBuffer content = ByteBuffer.allocate(rows.length + 9).order(ByteOrder.LITTLE_ENDIAN);
    content.put(rows).putInt(0).putInt(1).put((byte) 0);
    ByteArrayOutputStream place = new ByteArrayOutputStream();
    varint(place, out.size());
    varint(place, rows.length + 8);
    CRC32C checksum = new CRC32C();
    checksum.update(content.array());
    out.writeBytes(content.array());
    int masked = Integer.rotateRight((int) checksum.getValue(), 15) + 0xa282ead8;
    out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(masked).array());
    return place.toByteArray();
  }

  private static void varint(ByteArrayOutputStream to, long value) {
    long left = value;
    while (left >= 0x80) {
      to.write((int) ((left & 0x7f) | 0x80));
      left >>>= 7;
    }
    to.write((int) left);
  }
}
