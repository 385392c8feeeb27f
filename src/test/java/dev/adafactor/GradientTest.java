package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import dev.adafactor.schedules.CosineDecay;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
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
      Adafactor.builder(graph)
          .mesh(MESH)
          .learningRate(new CosineDecay(0.1, 10))
          .weightDecay(0.1)
          .useEma(true)
          .build();

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
      assertFails(
          "a sparse gradient has an index beyond the 8 rows of variable table: ] [8]",
          () -> apply(session, step, values, indices, 0, 5, ROWS));
      for (int given : new int[] {1, 2, 4}) {
        assertFails(
            "a sparse gradient of variable table must have 6 values for each index, and has in all: ] [%d]"
                .formatted(6 * given),
            () -> apply(given, session, step, values, indices, 0, 1, 2));
      }
      assertEquals(before, adafactor.snapshot(session));
    }
  }

  private static void assertFails(String part, Executable step) {
    String message = assertThrows(TFInvalidArgumentException.class, step).getMessage();
    assertTrue(message.contains(part), message);
  }

  private static void apply(
      Session session,
      Op step,
      Placeholder<TFloat32> values,
      Placeholder<TInt64> indices,
      long... rows) {
    apply(rows.length, session, step, values, indices, rows);
  }

  private static void apply(
      int given,
      Session session,
      Op step,
      Placeholder<TFloat32> values,
      Placeholder<TInt64> indices,
      long... rows) {
    try (TFloat32 ones = ones(given);
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

  /** In one piece, and compiled. */
  @Test
  void otherUpdatesChangeNothingEither() {
    for (UnaryOperator<Adafactor.Builder> kind :
        List.<UnaryOperator<Adafactor.Builder>>of(
            builder -> builder.numerics(Numerics.TF_KERAS),
            builder -> builder.jitCompile(JitCompile.ALWAYS))) {
      try (Graph own = new Graph()) {
        Ops ops = Ops.create(own);
        Adafactor optimizer = kind.apply(Adafactor.builder(own)).build();
        Variable<TFloat32> table = ops.withName("table").variable(ops.constant(new float[8]));
        Variable<TFloat32> other =
            ops.withName("other").variable(ops.constant(new float[][] {{1, 2}, {3, 4}}));
        Placeholder<TFloat32> gradient = ops.placeholder(TFloat32.class);
        Op step =
            optimizer.applyGradients(
                List.of(
                    VariableGradient.dense(
                        ops.constant(new float[][] {{5, 6}, {7, 8}}), other.asOutput()),
                    VariableGradient.dense(gradient.asOutput(), table.asOutput())),
                "step");
        try (Session session = new Session(own, true)) {
          Snapshot before = optimizer.snapshot(session);
          for (int again = 0; again < 10; again++) {
            assertThrows(
                TFInvalidArgumentException.class,
                () -> run(session, step, List.of(gradient), List.of(TFloat32.vectorOf(1, 2, 3))));
            assertEquals(before, optimizer.snapshot(session));
          }
        }
      }
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
