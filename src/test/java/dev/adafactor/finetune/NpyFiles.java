package dev.adafactor.finetune;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.tensorflow.ndarray.Shape;

/** Writes .npy files for tests. */
public final class NpyFiles {
  private NpyFiles() {}

  /** A file as NumPy writes it, of format version 1. */
  public static byte[] bytes(String descr, boolean fortranOrder, Shape shape, byte[] data) {
    return bytes(1, descr, fortranOrder, shape, data);
  }

  static byte[] bytes(int version, String descr, boolean fortranOrder, Shape shape, byte[] data) {
    String dimensions =
        Arrays.stream(shape.asArray()).mapToObj(d -> d + ",").collect(Collectors.joining(" "));
    String header =
        "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n"
            .formatted(descr, fortranOrder ? "True" : "False", dimensions);
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    byte[] length = new byte[4];
    ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).putInt(text.length);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
    out.write(length, 0, version == 1 ? 2 : 4);
    out.writeBytes(text);
    out.writeBytes(data);
    return out.toByteArray();
  }

  /** float32 in C order. */
  public static Path floats(Path file, Shape shape, float... values) throws IOException {
    byte[] data = new byte[values.length * Float.BYTES];
    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(values);
    return Files.write(file, bytes("<f4", false, shape, data));
  }

  /** int64 in C order. */
  public static Path longs(Path file, Shape shape, long... values) throws IOException {
    byte[] data = new byte[values.length * Long.BYTES];
    ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().put(values);
    return Files.write(file, bytes("<i8", false, shape, data));
  }
}
