package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TString;

class ColumnTest {
  private static final Shape PAIRS = Shape.of(-1, 2);

  @TempDir Path folder;

  private NpyFile floats(Shape shape, float... values) throws IOException {
    return NpyFile.open(NpyFiles.floats(folder.resolve("f.npy"), shape, values));
  }

  private NpyFile longs(Shape shape, long... values) throws IOException {
    return NpyFile.open(NpyFiles.longs(folder.resolve("l.npy"), shape, values));
  }

  private static String refusal(Executable action) {
    return assertThrows(IllegalArgumentException.class, action).getMessage();
  }

  @Test
  void gathersRowsInTheOrderAskedFor() throws IOException {
    NpyFile file = floats(Shape.of(3, 2), 1, 2, 3, 4, 5, 6);
    Column column = Column.of("x", file, DataType.DT_FLOAT, PAIRS);
    try (TFloat32 batch = (TFloat32) column.batch(new int[] {2, 0, 2})) {
      assertArrayEquals(new float[][] {{5, 6}, {1, 2}, {5, 6}}, StdArrays.array2dCopyOf(batch));
    }
  }

  @Test
  void convertsIntegers() throws IOException {
    NpyFile file = longs(Shape.of(2, 2), 1, -2, 3, 70000);
    int[] both = {0, 1};
    try (TFloat32 floats = (TFloat32) Column.of("x", file, DataType.DT_FLOAT, PAIRS).batch(both);
        TInt32 ints = (TInt32) Column.of("x", file, DataType.DT_INT32, PAIRS).batch(both);
        TFloat16 halves = (TFloat16) Column.of("x", file, DataType.DT_HALF, PAIRS).batch(both)) {
      assertEquals(70000, floats.getFloat(1, 1));
      assertEquals(70000, ints.getInt(1, 1));
      assertEquals(-2, halves.getFloat(0, 1));
    }
  }

  @Test
  void passesTextOn() throws IOException {
    Path path = folder.resolve("s.npy");
    Files.write(path, NpyFiles.bytes("|S2", false, Shape.of(2), new byte[] {'h', 'i', 'a', 0}));
    Column column = Column.of("x", NpyFile.open(path), DataType.DT_STRING, Shape.of(-1));
    try (TString batch = (TString) column.batch(new int[] {1, 0})) {
      assertEquals("a", batch.getObject(0));
      assertEquals("hi", batch.getObject(1));
    }
  }

  @Test
  void takesValuesAsRowsOfOneAndBack() throws IOException {
    Column rows = Column.of("x", longs(Shape.of(2), 4, 5), DataType.DT_INT64, Shape.of(-1, 1));
    Column values = Column.of("x", longs(Shape.of(2, 1), 4, 5), DataType.DT_INT64, Shape.of(-1));
    try (Tensor two = rows.batch(new int[] {0, 1});
        Tensor one = values.batch(new int[] {0})) {
      assertEquals(Shape.of(2, 1), two.shape());
      assertEquals(Shape.of(1), one.shape());
    }
  }

  @Test
  void refusesOtherShapes() throws IOException {
    NpyFile file = floats(Shape.of(2, 3), 1, 2, 3, 4, 5, 6);
    assertEquals(
        "features: %s has the shape (2, 3); (batch, 2) is wanted".formatted(file.path()),
        refusal(() -> Column.of("features", file, DataType.DT_FLOAT, PAIRS)));
    assertDoesNotThrow(() -> Column.of("x", file, DataType.DT_FLOAT, Shape.of(-1, -1)));
    assertDoesNotThrow(() -> Column.of("x", file, DataType.DT_FLOAT, Shape.unknown()));
  }

  @Test
  void refusesFloatsWhereIntegersAreWanted() throws IOException {
    NpyFile file = floats(Shape.of(1, 2), 1, 2);
    assertEquals(
        "labels: %s holds float32; integers are wanted, to become int64".formatted(file.path()),
        refusal(() -> Column.of("labels", file, DataType.DT_INT64, PAIRS)));
  }

  @Test
  void namesTheFirstRowThatIsNotFinite() throws IOException {
    NpyFile file = floats(Shape.of(3, 2), 1, 2, 3, Float.NaN, Float.NaN, 6);
    Column column = Column.of("features", file, DataType.DT_FLOAT, PAIRS);
    assertEquals(
        ("features: %s holds NaN in row 1 (counted from 0); wanted is a finite number that fits"
                + " float32")
            .formatted(file.path()),
        refusal(() -> column.requireUsable(row -> {})));
  }

  @Test
  void refusesWhatOverflowsTheModelsType() throws IOException {
    Column ints = Column.of("x", longs(Shape.of(1, 2), 1, 1L << 40), DataType.DT_INT32, PAIRS);
    refusal(() -> ints.requireUsable(row -> {}));
    NpyFile large = floats(Shape.of(1, 2), 1, 1e6f);
    Column halves = Column.of("x", large, DataType.DT_HALF, PAIRS);
    refusal(() -> halves.requireUsable(row -> {}));
    Column floats = Column.of("x", large, DataType.DT_FLOAT, PAIRS);
    assertDoesNotThrow(() -> floats.requireUsable(row -> {}));
  }
}
