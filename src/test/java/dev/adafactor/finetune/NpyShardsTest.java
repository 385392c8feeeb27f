package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;

class NpyShardsTest {
  @TempDir Path folder;

  @BeforeEach
  void write() throws IOException {
    Files.writeString(folder.resolve("README.txt"), "no array");
    NpyFiles.longs(folder.resolve("part-10.npy"), Shape.of(1, 2), 6, 7);
    NpyFiles.longs(folder.resolve("part-1.npy"), Shape.of(2, 2), 0, 1, 2, 3);
    NpyFiles.longs(folder.resolve("part-2.npy"), Shape.of(1, 2), 4, 5);
    NpyFiles.longs(folder.resolve("part-3.npy"), Shape.of(0, 2));
  }

  private static double[] values(Rows rows) {
    ByteBuffer raw = ByteBuffer.allocate((int) rows.rows() * rows.rowElements() * Long.BYTES);
    for (int row = 0; row < rows.rows(); row++) {
      rows.copyRow(row, raw);
    }
    return IntStream.range(0, raw.capacity() / Long.BYTES)
        .mapToDouble(i -> rows.type().toDouble(raw, i * Long.BYTES))
        .toArray();
  }

  @Test
  void takesTheFilesOneAfterTheOther() throws IOException {
    Rows rows = Rows.open(folder);
    assertEquals(Shape.of(4, 2), rows.shape());
    assertArrayEquals(new double[] {0, 1, 2, 3, 4, 5, 6, 7}, values(rows));
    assertEquals(new Rows.Place(folder.resolve("part-10.npy"), 0), rows.place(3));
  }

  @Test
  void aRangeKnowsWhereItsRowsLie() throws IOException {
    Rows range = new RowRange(Rows.open(folder), 1, 2);
    assertEquals(Shape.of(2, 2), range.shape());
    assertArrayEquals(new double[] {2, 3, 4, 5}, values(range));
    assertEquals(new Rows.Place(folder.resolve("part-1.npy"), 1), range.place(0));
  }

  @Test
  void namesTheFileThatDoesNotFit() throws IOException {
    NpyFiles.longs(folder.resolve("part-7.npy"), Shape.of(1, 3), 1, 2, 3);
    String message =
        assertThrows(IllegalArgumentException.class, () -> Rows.open(folder)).getMessage();
    assertTrue(message.contains("part-7.npy has rows of int64 [3]"), message);
    NpyFiles.floats(folder.resolve("part-7.npy"), Shape.of(1, 2), 1, 2);
    message = assertThrows(IllegalArgumentException.class, () -> Rows.open(folder)).getMessage();
    assertTrue(message.contains("part-7.npy has rows of float32 [2]"), message);
  }

  @Test
  void wantsFiles() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    String message = assertThrows(IOException.class, () -> Rows.open(empty)).getMessage();
    assertTrue(message.contains("the folder has no file *.npy"), message);
  }
}
