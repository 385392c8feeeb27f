package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.ndarray.Shape;

class NpyFileTest {
  @TempDir Path folder;

  private Path file(byte[] content) throws IOException {
    return Files.write(folder.resolve("array.npy"), content);
  }

  private static double[] row(NpyFile file, long row) {
    ByteBuffer raw = ByteBuffer.allocate(file.rowElements() * file.type().size());
    file.copyRow(row, raw);
    double[] values = new double[file.rowElements()];
    Arrays.setAll(values, i -> file.type().toDouble(raw, i * file.type().size()));
    return values;
  }

  @Test
  void readsRowsInCOrder() throws IOException {
    Path path = NpyFiles.floats(folder.resolve("a.npy"), Shape.of(2, 3), 1, 2, 3, 4, 5, 6.5f);
    NpyFile file = NpyFile.open(path);
    assertEquals(Shape.of(2, 3), file.shape());
    assertEquals(2, file.rows());
    assertArrayEquals(new double[] {1, 2, 3}, row(file, 0));
    assertArrayEquals(new double[] {4, 5, 6.5}, row(file, 1));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void readsAllVersionsOfTheFormat(int version) throws IOException {
    byte[] content = NpyFiles.bytes(version, "|i1", false, Shape.of(2), new byte[] {7, -8});
    NpyFile file = NpyFile.open(file(content));
    assertEquals("int8", file.type().toString());
    assertArrayEquals(new double[] {-8}, row(file, 1));
  }

  @Property(tries = 200)
  void fortranOrderHoldsTheSameRows(
      @ForAll @Size(min = 1, max = 4) List<@IntRange(min = 1, max = 4) Integer> dimensions)
      throws IOException {
    Shape shape = Shape.of(dimensions.stream().mapToLong(d -> d).toArray());
    byte[] inC = new byte[(int) shape.size()];
    byte[] inFortran = new byte[inC.length];
    for (int element = 0; element < inC.length; element++) {
      inC[element] = (byte) element;
      int[] index = new int[dimensions.size()];
      int rest = element;
      for (int axis = index.length - 1; axis >= 0; axis--) {
        index[axis] = rest % dimensions.get(axis);
        rest /= dimensions.get(axis);
      }
      int position = 0;
      for (int axis = index.length - 1; axis >= 0; axis--) {
        position = position * dimensions.get(axis) + index[axis];
      }
      inFortran[position] = (byte) element;
    }
    Path temporary = Files.createTempDirectory("npy");
    Path first = temporary.resolve("c.npy");
    Path second = temporary.resolve("f.npy");
    try {
      NpyFile expected = NpyFile.open(Files.write(first, NpyFiles.bytes("|u1", false, shape, inC)));
      NpyFile actual =
          NpyFile.open(Files.write(second, NpyFiles.bytes("|u1", true, shape, inFortran)));
      for (int row = 0; row < shape.get(0); row++) {
        assertArrayEquals(row(expected, row), row(actual, row));
      }
    } finally {
      Files.delete(first);
      Files.delete(second);
      Files.delete(temporary);
    }
  }

  @Test
  void readsNumbersOfEveryType() throws IOException {
    byte[] ones = {-1, -1, -1, -1, -1, -1, -1, -1};
    assertEquals(-1, only("<i8", ones));
    assertEquals(0x1p64, only("<u8", ones));
    assertEquals(4294967295.0, only("<u4", Arrays.copyOf(ones, 4)));
    assertEquals(-1, only("<i4", Arrays.copyOf(ones, 4)));
    assertEquals(65535, only("<u2", Arrays.copyOf(ones, 2)));
    assertEquals(255, only("|u1", Arrays.copyOf(ones, 1)));
    assertEquals(1, only("|b1", new byte[] {1}));
    assertEquals(258, only(">i2", new byte[] {1, 2}));
    assertEquals(513, only("<i2", new byte[] {1, 2}));
    assertEquals(-2.5, only(">f8", new byte[] {(byte) 0xC0, 4, 0, 0, 0, 0, 0, 0}));
  }

  @Test
  void readsHalfPrecision() throws IOException {
    assertEquals(1, half(0x3C00));
    assertEquals(-2, half(0xC000));
    assertEquals(65504, half(0x7BFF));
    assertEquals(0x1p-24, half(0x0001));
    assertEquals(0x1p-14, half(0x0400));
    assertEquals(Double.POSITIVE_INFINITY, half(0x7C00));
    assertEquals(Double.NEGATIVE_INFINITY, half(0xFC00));
    assertEquals(Double.NaN, half(0x7E00));
  }

  private double half(int bits) throws IOException {
    return only("<f2", new byte[] {(byte) bits, (byte) (bits >> 8)});
  }

  private double only(String descr, byte[] data) throws IOException {
    return row(NpyFile.open(file(NpyFiles.bytes(descr, false, Shape.of(1), data))), 0)[0];
  }

  @Test
  void readsUnicodeText() throws IOException {
    byte[] codes = new byte[16];
    ByteBuffer.wrap(codes).order(ByteOrder.LITTLE_ENDIAN).putInt('h').putInt(0x1F600);
    NpyFile file = NpyFile.open(file(NpyFiles.bytes("<U4", false, Shape.of(1), codes)));
    ByteBuffer raw = ByteBuffer.allocate(16);
    file.copyRow(0, raw);
    assertEquals("h\uD83D\uDE00", new String(file.type().toText(raw, 0), StandardCharsets.UTF_8));
  }

  @Test
  void readsByteText() throws IOException {
    byte[] data = {'a', 'b', 0, 'x', 0, 'y'};
    NpyFile file = NpyFile.open(file(NpyFiles.bytes("|S3", false, Shape.of(2), data)));
    ByteBuffer raw = ByteBuffer.allocate(3);
    file.copyRow(1, raw);
    assertArrayEquals(new byte[] {'x', 0, 'y'}, file.type().toText(raw, 0));
    file.copyRow(0, raw.clear());
    assertArrayEquals(new byte[] {'a', 'b'}, file.type().toText(raw, 0));
  }

  @Test
  void refusesPickledObjects() throws IOException {
    Path file = file(NpyFiles.bytes("|O", false, Shape.of(1), new byte[] {1, 2, 3}));
    String message =
        assertThrows(IllegalArgumentException.class, () -> NpyFile.open(file)).getMessage();
    assertTrue(message.contains("array.npy") && message.contains("pickled"), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"<c8", "<M8[ns]", "|V4", "<f16", "<i3", "nonsense"})
  void refusesOtherTypes(String descr) throws IOException {
    Path file = file(NpyFiles.bytes(descr, false, Shape.of(1), new byte[64]));
    String message =
        assertThrows(IllegalArgumentException.class, () -> NpyFile.open(file)).getMessage();
    assertTrue(message.contains("array.npy") && message.contains(descr), message);
  }

  @Test
  void refusesSingleValues() throws IOException {
    Path file = file(NpyFiles.bytes("<f4", false, Shape.scalar(), new byte[4]));
    assertThrows(IllegalArgumentException.class, () -> NpyFile.open(file));
  }

  @Test
  void saysSoWhereverAFileIsCutShort() throws IOException {
    byte[] whole = NpyFiles.bytes("<f4", false, Shape.of(2, 2), new byte[16]);
    for (int length = 0; length < whole.length; length++) {
      Path file = file(Arrays.copyOf(whole, length));
      String message = assertThrows(IOException.class, () -> NpyFile.open(file)).getMessage();
      assertTrue(message.contains("array.npy"), message);
    }
  }

  @Test
  void refusesWhatIsNoNpyFile() throws IOException {
    Path text = file("just some text, longer than a header".getBytes(StandardCharsets.UTF_8));
    String message = assertThrows(IOException.class, () -> NpyFile.open(text)).getMessage();
    assertTrue(message.contains("not a .npy file"), message);

    Path absent = folder.resolve("absent.npy");
    message = assertThrows(IOException.class, () -> NpyFile.open(absent)).getMessage();
    assertTrue(message.contains("absent.npy: no such file"), message);

    Path huge = file(NpyFiles.bytes("<f4", false, Shape.of(1L << 40, 1L << 40), new byte[4]));
    assertThrows(IOException.class, () -> NpyFile.open(huge));
  }

  private String refusal(byte[] content) throws IOException {
    Path file = file(content);
    String message =
        assertThrows(Exception.class, () -> NpyFile.open(file), "nothing thrown").getMessage();
    assertTrue(message.startsWith(file + ": "), message);
    return message;
  }

  @Test
  void refusesShapesThatCannotBe() throws IOException {
    long[] many = new long[65];
    Arrays.fill(many, 1);
    assertTrue(
        refusal(NpyFiles.bytes("|u1", false, Shape.of(many), new byte[1]))
            .contains("65 dimensions, 64 at most"));
    long half = 1L << 32;
    for (Shape shape : List.of(Shape.of(0, half, half, 4), Shape.of(half, half, half))) {
      assertTrue(
          refusal(NpyFiles.bytes("<f4", false, shape, new byte[8])).contains("beyond all files"));
    }
    assertTrue(
        refusal(NpyFiles.bytes("<f4", false, Shape.of(0, 3_000_000_000L), new byte[8]))
            .contains("a row of the shape [0, 3000000000] of float32 is too large"));
    assertTrue(
        refusal(NpyFiles.bytes("<f4", false, Shape.of(-10), new byte[8])).contains("no shape"));
  }

  @Test
  void refusesHeadersWithoutAnEnd() throws IOException {
    byte[] endless = "'descr':(".repeat(100_000).getBytes(StandardCharsets.UTF_8);
    byte[] content = new byte[12 + endless.length];
    ByteBuffer.wrap(content)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0})
        .putInt(endless.length)
        .put(endless);
    assertTrue(refusal(content).contains("a header of 900000 bytes"));
  }

  @Test
  void namesAnArchive() throws IOException {
    assertTrue(refusal(new byte[] {'P', 'K', 3, 4, 0, 0, 0, 0}).contains("numpy.savez"));
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void doesNotWaitForAPipe() throws Exception {
    Path pipe = folder.resolve("pipe.npy");
    new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor();
    for (Path file : List.of(pipe, Path.of("/dev/null"))) {
      String message = assertThrows(IOException.class, () -> NpyFile.open(file)).getMessage();
      assertTrue(message.startsWith(file + ": no ordinary file"), message);
    }
  }
}
