package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.IndexedSlices;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

class GradientSumTest {
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Placeholder<TFloat32> share =
      tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
  private final Placeholder<TFloat32> values =
      tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(-1, 2)));
  private final Placeholder<TInt64> indices =
      tf.placeholder(TInt64.class, Placeholder.shape(Shape.of(-1)));

  @AfterEach
  void close() {
    graph.close();
  }

  private Output<?> table(Class<? extends TNumber> type, int rows) {
    return tf.varHandleOp(type, Shape.of(rows, 2)).asOutput();
  }

  private void run(Session session, Iterable<Op> targets, float part, float[][] rows, long... at) {
    try (TFloat32 fedShare = TFloat32.scalarOf(part);
        TFloat32 fedRows = TFloat32.tensorOf(Shape.of(rows.length, 2));
        TInt64 fedIndices = TInt64.vectorOf(at)) {
      for (int i = 0; i < rows.length; i++) {
        fedRows.setFloat(rows[i][0], i, 0).setFloat(rows[i][1], i, 1);
      }
      Session.Runner runner =
          session.runner().feed(share, fedShare).feed(values, fedRows).feed(indices, fedIndices);
      targets.forEach(runner::addTarget);
      runner.run().close();
    }
  }

  private static float[][] fetch(Session session, Output<?> matrix) {
    try (Result result = session.runner().fetch(matrix).run()) {
      TFloat32 fetched = (TFloat32) result.get(0);
      return StdArrays.array2dCopyOf(fetched);
    }
  }

  @Test
  void addsDenseGradientsUp() {
    Output<?> table = table(TFloat32.class, 2);
    Operand<TFloat32> gradient = tf.ensureShape(values, Shape.of(2, 2));
    GradientSum sum =
        GradientSum.of(tf, "sum", StepFunction.pair(gradient.asOutput(), table), share);
    assertEquals(table, sum.pair().getVariable());
    assertTrue(IndexedSlices.from(sum.pair()).isEmpty());
    try (Session session = new Session(graph)) {
      for (int step = 0; step < 2; step++) {
        run(session, sum.first(), 0.5f, new float[][] {{1, 2}, {3, 4}});
        run(session, sum.next(), 0.25f, new float[][] {{4, 8}, {-4, 0}});
        assertArrayEquals(
            new float[][] {{1.5f, 3}, {0.5f, 2}}, fetch(session, sum.pair().getGradient()));
      }
    }
  }

  @Test
  void keepsTheRowsOfSparseOnes() {
    Output<?> table = table(TFloat32.class, 9);
    GradientSum sum =
        GradientSum.of(tf, "sum", new IndexedSlices<>(values, indices).of(table), share);
    assertEquals(table, sum.pair().getVariable());
    IndexedSlices<?> kept = IndexedSlices.from(sum.pair()).orElseThrow();
    assertArrayEquals(new long[] {-1, 2}, kept.values().shape().asArray());
    try (Session session = new Session(graph)) {
      for (int step = 0; step < 2; step++) {
        run(session, sum.first(), 0.5f, new float[][] {{1, 2}, {3, 4}}, 7, 0);
        run(session, sum.next(), 0.25f, new float[0][2]);
        run(session, sum.next(), 0.25f, new float[][] {{4, 8}}, 7);
        assertArrayEquals(
            new float[][] {{0.5f, 1}, {1.5f, 2}, {1, 2}}, fetch(session, kept.values().asOutput()));
        try (Tensor at = session.runner().fetch(kept.indices()).run().get(0)) {
          assertEquals(TInt64.vectorOf(7, 0, 7), at);
        }
      }
    }
  }

  @Test
  void addsHalfPrecisionUpInSinglePrecision() {
    Output<?> table = table(TBfloat16.class, 1);
    GradAndVar<?> part =
        StepFunction.pair(
            tf.dtypes.cast(tf.ensureShape(values, Shape.of(1, 2)), TBfloat16.class).asOutput(),
            table);
    GradientSum sum = GradientSum.of(tf, "sum", part, share);
    assertEquals(TBfloat16.class, sum.pair().getGradient().type());
    Output<?> wide = tf.dtypes.cast(sum.pair().getGradient(), TFloat32.class).asOutput();
    try (Session session = new Session(graph)) {
      // 256 + 1 is no bfloat16.
      run(session, sum.first(), 1, new float[][] {{256, 1}});
      run(session, sum.next(), 1, new float[][] {{1, 1}});
      run(session, sum.next(), 1, new float[][] {{1, 1}});
      assertArrayEquals(new float[][] {{258, 3}}, fetch(session, wide));
    }
  }
}
