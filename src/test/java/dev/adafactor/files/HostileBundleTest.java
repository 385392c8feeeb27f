package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Message;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.proto.BundleEntryProto;
import org.tensorflow.proto.BundleHeaderProto;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.TensorSliceProto;

/** Indices that are whole, and say what cannot be. */
class HostileBundleTest {
  private static final long[] NUMBERS = {
    -1, 0, 1, 3, 4, 24, 96, 97, 1L << 31, 1L << 40, 1L << 62, Long.MAX_VALUE, Long.MIN_VALUE
  };

  @TempDir Path folder;

  /** Two tensors of 3 x 4 numbers, in 96 bytes. */
  private static BundleEntryProto.Builder entry(int number) {
    return BundleEntryProto.newBuilder()
        .setDtype(DataType.DT_FLOAT)
        .setShape(shape(3, 4))
        .setOffset(48L * number)
        .setSize(48);
  }

  private static TensorShapeProto shape(long... sizes) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    Arrays.stream(sizes).forEach(size -> shape.addDimBuilder().setSize(size));
    return shape.build();
  }

  private Path write(BundleHeaderProto header, BundleEntryProto first, BundleEntryProto second)
      throws IOException {
    Map<String, Message> rows = new LinkedHashMap<>();
    rows.put("", header);
    rows.put("first", first);
    rows.put("second", second);
    Files.write(folder.resolve("x.index"), IndexFile.of(rows));
    Files.write(folder.resolve("x.data-00000-of-00001"), new byte[96]);
    return folder.resolve("x");
  }

  private static BundleHeaderProto header() {
    return BundleHeaderProto.newBuilder().setNumShards(1).build();
  }

  private void assertRefused(Consumer<BundleEntryProto.Builder> damage) throws IOException {
    BundleEntryProto.Builder second = entry(1);
    damage.accept(second);
    Path prefix = write(header(), entry(0).build(), second.build());
    String message =
        assertThrows(IOException.class, () -> TensorBundle.read(prefix), second::toString)
            .getMessage();
    assertTrue(message.contains("x.index") || message.contains("x.data-"), message);
  }

  @Test
  void readsWhatIsRight() throws IOException {
    Path prefix = write(header(), entry(0).build(), entry(1).build());
    assertDoesNotThrow(() -> TensorBundle.read(prefix));
  }

  @Test
  void refusesValuesInOnePlace() throws IOException {
    assertRefused(second -> second.setOffset(0));
    assertRefused(second -> second.setOffset(47));
  }

  @Test
  void refusesImpossibleSizes() throws IOException {
    assertRefused(second -> second.setSize(47));
    assertRefused(second -> second.setSize(-48));
    assertRefused(second -> second.setOffset(Long.MAX_VALUE));
    assertRefused(second -> second.setOffset(49));
    assertRefused(second -> second.setShape(shape(-3, -4)));
    assertRefused(second -> second.setShape(shape(1L << 32, 1L << 32, 12)));
    assertRefused(second -> second.setShape(TensorShapeProto.newBuilder().setUnknownRank(true)));
    assertRefused(second -> second.setDtypeValue(0));
    assertRefused(second -> second.setDtypeValue(4711));
    assertRefused(second -> second.setShardId(1));
    assertRefused(second -> second.setShardId(-1));
  }

  private static void inParts(BundleEntryProto.Builder entry, TensorSliceProto.Builder part) {
    entry.setOffset(0).setSize(0).addSlices(part);
  }

  private static TensorSliceProto.Builder columns(long start, long length) {
    return TensorSliceProto.newBuilder()
        .addExtent(TensorSliceProto.Extent.newBuilder())
        .addExtent(TensorSliceProto.Extent.newBuilder().setStart(start).setLength(length));
  }

  /** Its parts have rows of their own; its own has no place. */
  @Test
  void readsAPartitionedVariable() throws IOException {
    BundleEntryProto.Builder second = entry(1);
    inParts(second, columns(0, 3));
    inParts(second, columns(3, 1));
    Path prefix = write(header(), entry(0).build(), second.build());
    assertEquals(2, TensorBundle.read(prefix).tensors().size());
  }

  @Test
  void refusesPartsOutsideOfTheirVariable() throws IOException {
    for (long[] place : new long[][] {{-1, 2}, {0, 5}, {5, 0}, {2, Long.MAX_VALUE}, {0, -1}}) {
      assertRefused(second -> inParts(second, columns(place[0], place[1])));
    }
    assertRefused(second -> inParts(second, TensorSliceProto.newBuilder()));
  }

  @Test
  void answersWithAnExceptionOfFilesAlone() throws IOException {
    for (int seed = 0; seed < 2000; seed++) {
      Random random = new Random(seed);
      BundleEntryProto.Builder first = entry(0);
      BundleEntryProto.Builder second = entry(1);
      for (int i = 0; i <= random.nextInt(3); i++) {
        change(random.nextBoolean() ? first : second, random);
      }
      BundleHeaderProto.Builder header = header().toBuilder();
      if (random.nextInt(10) == 0) {
        header.setNumShards((int) any(random));
      }
      Path prefix = write(header.build(), first.build(), second.build());
      try {
        TensorBundle bundle = TensorBundle.read(prefix);
        assertEquals(2, bundle.tensors().size());
        bundle.requireIntact();
      } catch (IOException e) {
        assertTrue(e.getMessage().contains(folder.toString()), e.getMessage());
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed, e);
      }
    }
  }

  private static void change(BundleEntryProto.Builder entry, Random random) {
    switch (random.nextInt(6)) {
      case 0 -> entry.setOffset(any(random));
      case 1 -> entry.setSize(any(random));
      case 2 -> entry.setShape(shape(any(random), any(random)));
      case 3 -> entry.setDtypeValue(random.nextInt(130));
      case 4 -> entry.setShardId((int) any(random));
      default ->
          entry.addSlices(
              TensorSliceProto.newBuilder()
                  .addExtent(
                      TensorSliceProto.Extent.newBuilder()
                          .setStart(any(random))
                          .setLength(any(random))));
    }
  }

  private static long any(Random random) {
    return NUMBERS[random.nextInt(NUMBERS.length)];
  }
}
