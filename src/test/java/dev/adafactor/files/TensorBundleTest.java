package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;

class TensorBundleTest {
  private static final Path DIGITS = Path.of("savedmodels", "digits", "variables");

  @TempDir Path folder;
  private Path prefix;
  private Path index;
  private Path data;

  @BeforeEach
  void copy() throws IOException {
    prefix = folder.resolve("variables");
    index = folder.resolve("variables.index");
    data = folder.resolve("variables.data-00000-of-00001");
    Files.copy(DIGITS.resolve(index.getFileName()), index);
    Files.copy(DIGITS.resolve(data.getFileName()), data);
  }

  @Test
  void tellsWhatIsInIt() throws IOException {
    TensorBundle bundle = TensorBundle.read(prefix);
    assertEquals(
        new TensorKind(DataType.DT_FLOAT, Shape.of(3, 3, 1, 16)),
        bundle.tensors().get("layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"));
    bundle.requireIntact();
  }

  @Test
  void readsStrings() throws Exception {
    byte[] graph = TensorBundle.read(prefix).string("_CHECKPOINTABLE_OBJECT_GRAPH");
    assertTrue(TrackableObjectGraph.parseFrom(graph).getNodesCount() > 8);
    assertThrows(IOException.class, () -> TensorBundle.read(prefix).string("other"));
  }

  @Test
  void findsEveryChangedByte() throws IOException {
    Random random = new Random(5);
    for (Path file : new Path[] {index, data}) {
      byte[] whole = Files.readAllBytes(file);
      for (int i = 0; i < 200; i++) {
        byte[] changed = whole.clone();
        int at = random.nextInt(changed.length);
        changed[at] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, changed);
        if (!isPadding(file, whole, at)) {
          assertThrows(IOException.class, this::check, () -> file + ", byte " + at);
        }
      }
      Files.write(file, whole);
      check();
    }
  }

  /** The footer's numbers are followed by zeros that mean nothing. */
  private boolean isPadding(Path file, byte[] whole, int at) {
    return file.equals(index) && at >= whole.length - 48 + 5 && at < whole.length - 8;
  }

  @Test
  void findsWhatIsCutOff() throws IOException {
    for (Path file : new Path[] {index, data}) {
      byte[] whole = Files.readAllBytes(file);
      for (int length : new int[] {0, 1, 47, 48, 1000, whole.length - 1}) {
        Files.write(file, Arrays.copyOf(whole, Math.min(length, whole.length - 1)));
        assertThrows(IOException.class, this::check, () -> file + ", " + length + " bytes");
      }
      Files.write(file, whole);
    }
  }

  @Test
  void namesTheFileThatIsMissing() throws IOException {
    Files.delete(data);
    String message = assertThrows(IOException.class, this::check).getMessage();
    assertTrue(message.contains("variables.data-00000-of-00001"), message);
    Files.delete(index);
    message = assertThrows(IOException.class, this::check).getMessage();
    assertTrue(message.contains("variables.index"), message);
  }

  private void check() throws IOException {
    TensorBundle.read(prefix).requireIntact();
  }
}
