package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.finetune.Finiteness.Named;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;

class FinitenessTest {

  @Test
  void namesWhatIsNanOrInfinite() {
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      Ops tf = Ops.create(graph);
      assertEquals(
          List.of("nan", "infinite"), Finiteness.of(tf, tensors(tf)).violations(session.runner()));
    }
  }

  @Test
  void namesWhatCannotBeSquared() {
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      Ops tf = Ops.create(graph);
      assertEquals(
          List.of("nan", "infinite", "large"),
          Finiteness.ofSquares(tf, tensors(tf)).violations(session.runner()));
    }
  }

  private static List<Named> tensors(Ops tf) {
    return List.of(
        new Named("fine", tf.array(1f, -2f)),
        new Named("nan", tf.constant(new float[][] {{0, Float.NaN}, {1, 2}})),
        new Named("infinite", tf.constant(Float.NEGATIVE_INFINITY)),
        new Named("large", tf.array(1e25f)),
        new Named("double", tf.array(1e100)),
        // Squares of float16 do not fit into it, but are computed in float32.
        new Named("half", tf.dtypes.cast(tf.array(300f), TFloat16.class)),
        new Named("bfloat", tf.dtypes.cast(tf.array(300f), TBfloat16.class)));
  }
}
