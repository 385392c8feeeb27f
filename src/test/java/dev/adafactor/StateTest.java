package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.FedTraining.Start;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** What an optimizer adds to the graph's variables. */
class StateTest {

  private static final List<Shape> SHAPES =
      List.of(
          Shape.scalar(),
          Shape.of(7),
          Shape.of(100, 200),
          Shape.of(3, 50, 60),
          Shape.of(2, 3, 10, 20));

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private List<GraphOperation> variables() {
    List<GraphOperation> variables = new ArrayList<>();
    graph
        .operations()
        .forEachRemaining(
            op -> {
              if (op.type().equals("VariableV2") || op.type().equals("VarHandleOp")) {
                variables.add(op);
              }
            });
    return variables;
  }

  private static Shape shape(GraphOperation variable) {
    return variable.attributes().getAttrShape("shape");
  }

  private static DataType type(GraphOperation variable) {
    return variable.attributes().getAttrType("dtype");
  }

  @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
  private static <T extends TType> Output<T> typed(Output<?> variable) {
    return (Output<T>) variable;
  }

  private static GradAndVar<? extends TType> pair(Operand<?> gradient, Output<?> variable) {
    return new GradAndVar<TType>(typed(gradient.asOutput()), typed(variable));
  }

  private Output<? extends TType> ones(VariableKind kind, String name, Shape shape) {
    return kind.create(tf, name, tf.ones(tf.constant(shape.asArray()), TFloat32.class));
  }

  @ParameterizedTest
  @CsvSource({
    "REFERENCE, false",
    "REFERENCE, true",
    "RESOURCE, false",
    "RESOURCE, true",
  })
  void holdsRowsAndColumnsInPlaceOfAWholeSecondMoment(VariableKind kind, boolean average) {
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (Shape shape : SHAPES) {
      Output<? extends TType> w = ones(kind, "model/w" + pairs.size(), shape);
      pairs.add(pair(tf.ones(tf.constant(shape.asArray()), TFloat32.class), w));
    }
    Set<GraphOperation> model = new HashSet<>(variables());
    Adafactor adafactor = Adafactor.builder(graph).useEma(average).build();
    adafactor.applyGradients(pairs, "train");
    adafactor.applyGradients(pairs, "again");
    adafactor.finalizeVariableValues();

    List<GraphOperation> added = new ArrayList<>(variables());
    added.removeAll(model);
    long counters = added.stream().filter(v -> type(v) == DataType.DT_INT64).count();
    assertEquals(1, counters);
    long floats =
        added.stream()
            .filter(v -> type(v) == DataType.DT_FLOAT)
            .mapToLong(v -> shape(v).size())
            .sum();
    long factors = (100 + 200) + 3 * (50 + 60) + 6 * (10 + 20);
    long averages = average ? 1 + 7 + 100 * 200 + 3 * 50 * 60 + 6 * 10 * 20 : 0;
    // The learning rate, v of the scalar and of the vector, r and c of the others.
    assertEquals(1 + 1 + 7 + factors + averages, floats);
    assertEquals(1 + 1 + 2 + 3 * 2 + (average ? SHAPES.size() : 0), added.size());
    if (!average) {
      long wholes = added.stream().filter(v -> shape(v).equals(Shape.of(100, 200))).count();
      assertEquals(0, wholes);
    }
  }

  @ParameterizedTest
  @EnumSource
  void liesBesideItsVariableAndStartsWithZeros(VariableKind kind) {
    Output<? extends TType> w = ones(kind, "layer/kernel", Shape.of(2, 3));
    Output<? extends TType> b = ones(kind, "layer/bias", Shape.of(3));
    Adafactor adafactor = new Adafactor(graph);
    adafactor.applyGradients(
        List.of(
            pair(tf.ones(tf.array(2, 3), TFloat32.class), w),
            pair(tf.ones(tf.array(3), TFloat32.class), b)),
        "train");
    try (Session session = new Session(graph)) {
      for (String name : List.of(Adafactor.R, Adafactor.C)) {
        assertSlot(session, adafactor.<TFloat32>getSlot(typed(w), name).orElseThrow(), w);
      }
      assertSlot(session, adafactor.<TFloat32>getSlot(typed(b), Adafactor.V).orElseThrow(), b);
      assertArrayEquals(new double[6], secondMoment(session, adafactor, w));
    }
    assertEquals(
        Shape.of(2), adafactor.<TFloat32>getSlot(typed(w), Adafactor.R).orElseThrow().shape());
    assertEquals(
        Shape.of(3), adafactor.<TFloat32>getSlot(typed(w), Adafactor.C).orElseThrow().shape());
    assertTrue(adafactor.getSlot(typed(w), Adafactor.V).isEmpty());
    assertTrue(adafactor.getSlot(typed(w), Adafactor.AVERAGE).isEmpty());
  }

  private void assertSlot(Session session, Variable<TFloat32> slot, Output<?> beside) {
    GraphOperation op = (GraphOperation) slot.op();
    assertEquals(
        List.of("loc:@" + beside.op().name()),
        op.attributes().getAttrValueProto("_class").getList().getSList().stream()
            .map(text -> text.toStringUtf8())
            .toList());
    double[] elements = Elements.of(session, tf.dtypes.cast(slot, TFloat64.class));
    assertArrayEquals(new double[elements.length], elements);
  }

  private double[] secondMoment(Session session, Adafactor adafactor, Output<?> w) {
    return Elements.of(session, tf.dtypes.cast(adafactor.secondMoment(w), TFloat64.class));
  }

  @Test
  void secondMomentIsTheProductOfTheFactors() {
    try (FedTraining training =
        new FedTraining(
            VariableKind.RESOURCE,
            b -> b.epsilon1(0),
            new Start(TFloat32.class, Shape.of(2, 2), 1, 1, 1, 1))) {
      assertArrayEquals(new double[4], training.secondMoment(0));
      training.step(new double[] {1, 2, 2, 4});
      // In the first step the averages are the squares' means: these have rank 1.
      Elements.assertClose(new double[] {1, 4, 4, 16}, training.secondMoment(0), 1e-6);
    }
  }

  @ParameterizedTest
  @EnumSource
  void isWiderThanNarrowVariablesOnlyWhereStable(Numerics numerics) {
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (Class<? extends TNumber> type :
        List.<Class<? extends TNumber>>of(
            TFloat16.class, TBfloat16.class, TFloat32.class, TFloat64.class)) {
      Operand<? extends TNumber> start = Elements.constant(tf, type, Shape.of(2), 1, 2);
      Output<? extends TType> w = VariableKind.REFERENCE.create(tf, type.getSimpleName(), start);
      pairs.add(pair(start, w));
    }
    Adafactor adafactor = Adafactor.builder(graph).numerics(numerics).useEma(true).build();
    adafactor.applyGradients(pairs, "train");
    for (GradAndVar<? extends TType> pair : pairs) {
      Output<TFloat32> w = typed(pair.getVariable());
      DataType own = type((GraphOperation) w.op());
      boolean narrow = own == DataType.DT_HALF || own == DataType.DT_BFLOAT16;
      assertEquals(
          narrow && numerics == Numerics.STABLE ? DataType.DT_FLOAT : own,
          slotType(adafactor, w, Adafactor.V));
      assertEquals(own, slotType(adafactor, w, Adafactor.AVERAGE));
    }
  }

  private static DataType slotType(Adafactor adafactor, Output<TFloat32> w, String name) {
    return type((GraphOperation) adafactor.getSlot(w, name).orElseThrow().op());
  }

  @ParameterizedTest
  @EnumSource
  void averagesStartWithTheVariable(VariableKind kind) {
    Output<? extends TType> w = kind.create(tf, "w", tf.constant(new float[] {3, 4}));
    Adafactor adafactor = Adafactor.builder(graph).useEma(true).build();
    adafactor.applyGradients(List.of(pair(tf.constant(new float[] {1, 1}), w)), "train");
    Operand<TFloat32> average =
        adafactor.<TFloat32>getSlot(typed(w), Adafactor.AVERAGE).orElseThrow();
    for (int repetition = 0; repetition < 10; repetition++) {
      // All initializers run at once, in any order.
      try (Session session = new Session(graph)) {
        assertArrayEquals(
            new double[] {3, 4}, Elements.of(session, tf.dtypes.cast(average, TFloat64.class)));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void anOptimizerThatComesLaterStartsFromTheTrainedVariables(VariableKind kind) {
    Output<? extends TType> w = kind.create(tf, "w", tf.constant(new float[] {3, 4}));
    Operand<TFloat32> gradient = tf.constant(new float[] {1, 1});
    Operand<TFloat64> value = tf.dtypes.cast(kind.read(tf, w, TFloat32.class), TFloat64.class);
    Op train =
        Adafactor.builder(graph)
            .learningRate(0.5)
            .build()
            .applyGradients(List.of(pair(gradient, w)), "train");
    try (Session session = new Session(graph)) {
      session.run(train);
      double[] trained = Elements.of(session, value);
      assertTrue(trained[0] < 3);
      Adafactor later = Adafactor.builder(graph).useEma(true).emaMomentum(1).build();
      Op step = later.applyGradients(List.of(pair(gradient, w)), "later");
      Operand<TFloat64> average =
          tf.dtypes.cast(
              later.<TFloat32>getSlot(typed(w), Adafactor.AVERAGE).orElseThrow(), TFloat64.class);
      // The session runs the new initializers now.
      assertArrayEquals(trained, Elements.of(session, average));
      assertArrayEquals(trained, Elements.of(session, value));
      session.run(step);
      assertArrayEquals(trained, Elements.of(session, average));
      assertTrue(Elements.of(session, value)[0] < trained[0]);
    }
  }
}
