package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.FloatNdArray;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** A step whose gradient turns out to be wrong in the run, beside another that is right. */
class GradientTest {

  private static final Mesh MESH = Mesh.virtualCpus("x=2,y=2");
  private static final int ROWS = 8;

  /** How a table is kept. */
  enum Table {
    WHOLE {
      @Override
      Operand<TFloat32> create(Ops tf, Operand<TFloat32> initial) {
        Variable<TFloat32> table = tf.withName("table").variable(initial.shape(), TFloat32.class);
        tf.withInitScope().assign(table, initial);
        return table;
      }
    },
    ROWS_CUT {
      @Override
      Operand<TFloat32> create(Ops tf, Operand<TFloat32> initial) {
        return ShardedVariable.create(tf, "table", new Layout(MESH, List.of("x", "y")), initial);
      }
    },
    COLUMNS_CUT {
      @Override
      Operand<TFloat32> create(Ops tf, Operand<TFloat32> initial) {
        return ShardedVariable.create(
            tf, "table", new Layout(MESH, List.of(Layout.UNSHARDED, "y")), initial);
      }
    };

    abstract Operand<TFloat32> create(Ops tf, Operand<TFloat32> initial);
  }

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Adafactor adafactor =
      Adafactor.builder(graph).mesh(MESH).weightDecay(0.1).useEma(true).build();

  @AfterEach
  void close() {
    graph.close();
  }

  private Operand<TFloat32> initial() {
    return tf.random.statelessRandomNormal(
        tf.constant(new int[] {ROWS, 6}), tf.constant(new int[] {1, 2}));
  }

  /** A step of the table, and of a variable whose gradient is never wrong. */
  private Op step(GradAndVar<?> ofTable) {
    Variable<TFloat32> other = tf.withName("other").variable(tf.constant(new float[] {1, 2}));
    return adafactor.applyGradients(
        List.of(
            new IndexedSlices<>(tf.constant(new float[] {3}), tf.constant(new int[] {1})).of(other),
            ofTable),
        "step");
  }

  private static TFloat32 ones(long rows) {
    FloatNdArray values = NdArrays.ofFloats(Shape.of(rows, 6));
    values.scalars().forEach(value -> value.setFloat(1));
    return TFloat32.tensorOf(values);
  }

  @ParameterizedTest
  @EnumSource
  void anIndexBeyondTheTableChangesNothing(Table kind) {
    Operand<TFloat32> table = kind.create(tf, initial());
    Placeholder<TFloat32> values =
        tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(Shape.UNKNOWN_SIZE, 6)));
    Placeholder<TInt64> indices =
        tf.placeholder(TInt64.class, Placeholder.shape(Shape.of(Shape.UNKNOWN_SIZE)));
    Op step = step(new IndexedSlices<>(values, indices).of(table));
    try (Session session = new Session(graph, true, MESH.config())) {
      Snapshot start = adafactor.snapshot(session);
      apply(session, step, values, indices, 0, -1, 7);
      Snapshot before = adafactor.snapshot(session);
      assertNotEquals(start, before);
      String message =
          assertThrows(
                  TFInvalidArgumentException.class,
                  () -> apply(session, step, values, indices, 0, 5, ROWS))
              .getMessage();
      assertTrue(
          message.contains(
              "a sparse gradient has an index beyond the 8 rows of variable table: ] [8]"),
          message);
      assertEquals(before, adafactor.snapshot(session));
    }
  }

  private static void apply(
      Session session,
      Op step,
      Placeholder<TFloat32> values,
      Placeholder<TInt64> indices,
      long... rows) {
    try (TFloat32 ones = ones(rows.length);
        TInt64 of = TInt64.vectorOf(rows)) {
      session.runner().feed(values, ones).feed(indices, of).addTarget(step).run().close();
    }
  }

  @ParameterizedTest
  @EnumSource
  void aGradientOfAnotherShapeChangesNothing(Table kind) {
    Operand<TFloat32> table = kind.create(tf, initial());
    Placeholder<TFloat32> gradient = tf.placeholder(TFloat32.class);
    Op step = step(VariableGradient.dense(gradient.asOutput(), table));
    try (Session session = new Session(graph, true, MESH.config())) {
      assertRefused(session, step, List.of(gradient), List.of(ones(ROWS)), List.of(ones(4)));
    }
  }

  @Test
  void aGradientOfAShardOfAnotherShapeChangesNothing() {
    ShardedVariable<TFloat32> table =
        ShardedVariable.create(tf, "table", new Layout(MESH, List.of("x", "unsharded")), initial());
    List<Operand<TFloat32>> parts =
        List.of(tf.placeholder(TFloat32.class), tf.placeholder(TFloat32.class));
    Op step = step(new ShardedGradient<>(parts).of(table));
    try (Session session = new Session(graph, true, MESH.config())) {
      assertRefused(session, step, parts, List.of(ones(4), ones(4)), List.of(ones(4), ones(3)));
    }
  }

  private void assertRefused(
      Session session,
      Op step,
      List<? extends Operand<TFloat32>> inputs,
      List<TFloat32> right,
      List<TFloat32> wrong) {
    Snapshot start = adafactor.snapshot(session);
    run(session, step, inputs, right);
    Snapshot before = adafactor.snapshot(session);
    assertNotEquals(start, before);
    assertThrows(TFInvalidArgumentException.class, () -> run(session, step, inputs, wrong));
    assertEquals(before, adafactor.snapshot(session));
  }

  private static void run(
      Session session, Op step, List<? extends Operand<TFloat32>> inputs, List<TFloat32> values) {
    List<TFloat32> open = new ArrayList<>(values);
    try {
      Session.Runner runner = session.runner().addTarget(step);
      for (int i = 0; i < inputs.size(); i++) {
        runner.feed(inputs.get(i), values.get(i));
      }
      runner.run().close();
    } finally {
      open.forEach(TFloat32::close);
    }
  }
}
