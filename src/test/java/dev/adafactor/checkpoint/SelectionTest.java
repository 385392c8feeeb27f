package dev.adafactor.checkpoint;

import static dev.adafactor.checkpoint.Content.Judge.TAKES_ALL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.files.Bundles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;

/** Checkpoints with tensors of ours that Python does not look at: the exact state of float16. */
class SelectionTest {
  private static final String EXACT = "dev.adafactor/optimizer/_variables/1/";
  private static final short HALF_NAN = 0x7e00;
  private static final short HALF_INFINITY = 0x7c00;

  @TempDir Path folder;

  private final Graph graph = new Graph();
  private Session session;
  private Variable<TFloat16> kernel;
  private TrainingState state;
  private Path files;

  @BeforeEach
  void train() throws IOException {
    Ops tf = Ops.create(graph);
    kernel =
        tf.withName("kernel")
            .variable(
                tf.dtypes.cast(tf.constant(new float[][] {{1, 2, 3}, {4, 5, 6}}), TFloat16.class));
    Adafactor adafactor = new Adafactor(graph);
    var train =
        adafactor.minimize(
            tf.nn.l2Loss(tf.dtypes.cast(kernel, TFloat32.class)), List.of(kernel.asOutput()));
    session = new Session(graph);
    state = TrainingState.of(session, adafactor, List.of());
    session.run(train);
    files = folder.resolve("ckpt-1");
    state.save(files, "", 1);
    session.run(train);
  }

  @AfterEach
  void close() {
    session.close();
    graph.close();
  }

  private ByteBuffer value() {
    try (Result result = session.runner().fetch(kernel).run()) {
      byte[] bytes = new byte[12];
      result.get(0).asRawTensor().data().read(bytes);
      return ByteBuffer.wrap(bytes);
    }
  }

  private void assertRefused(Class<? extends Exception> kind, String part) {
    ByteBuffer before = value();
    String message =
        assertThrows(kind, () -> state.restore(files, Extent.ALL, TAKES_ALL)).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(before, value(), "half-restored");
  }

  @Test
  void takesTheExactState() throws IOException {
    ByteBuffer after = value();
    state.restore(files, Extent.ALL, TAKES_ALL);
    assertTrue(!after.equals(value()), "nothing is restored");
    // What Python would take is not looked at where there is better.
    Path other = folder.resolve("ckpt-2");
    Bundles.remove(files, EXACT);
    state.restore(files, Extent.ALL, TAKES_ALL);
    state.save(other, "", 2);
    assertEquals(1, state.restore(other, Extent.ALL, TAKES_ALL).states());
  }

  @Test
  void refusesExactStateThatIsNaN() throws IOException {
    Bundles.change(files, EXACT, values -> values.putFloat(0, Float.NaN));
    assertRefused(IOException.class, "values that are NaN, of '" + EXACT.replaceFirst("/$", "'"));
  }

  @Test
  void refusesExactStateOfAnotherShape() throws IOException {
    Bundles.reshape(files, EXACT, 1, 2);
    assertRefused(
        IllegalArgumentException.class,
        "its '%s' has the shape [1, 2] in place of [2]".formatted(EXACT.replaceFirst("/$", "")));
  }

  @Test
  void refusesVariablesThatAreNotFinite() throws IOException {
    String kernelKey = "model/kernel/";
    Bundles.change(files, kernelKey, values -> values.putShort(2, HALF_INFINITY));
    assertRefused(IOException.class, "values that are infinite, of 'model/kernel'");
    Bundles.change(files, kernelKey, values -> values.putShort(2, HALF_NAN));
    assertRefused(IOException.class, "values that are NaN, of 'model/kernel'");
  }

  /** An element that float16 does not hold is not trained on, and that is all. */
  @Test
  void takesAnInfiniteSecondMoment() throws IOException {
    Bundles.change(files, "optimizer/_variables/1/", values -> values.putShort(0, HALF_INFINITY));
    assertEquals(1, state.restore(files, Extent.ALL, TAKES_ALL).states());
    Bundles.change(files, "optimizer/_variables/1/", values -> values.putShort(0, HALF_NAN));
    assertRefused(IOException.class, "values that are NaN, of 'optimizer/_variables/1'");
  }
}
