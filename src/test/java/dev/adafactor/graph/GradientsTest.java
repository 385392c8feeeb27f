package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.OperationBuilder;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;

class GradientsTest {

  /** An operation with a reference variable of shape [1, 2, 2], or its value, as its input. */
  private interface Model {
    Operand<?> of(Ops tf, Operand<TFloat32> w);
  }

  /** Those whose native gradient fails, or kills the process, where w is the variable itself. */
  private static final Map<String, Model> UNSAFE =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("Acos", (tf, w) -> tf.math.acos(w)),
              Map.entry("Asin", (tf, w) -> tf.math.asin(w)),
              Map.entry("Atan", (tf, w) -> tf.math.atan(w)),
              Map.entry("Atanh", (tf, w) -> tf.math.atanh(w)),
              Map.entry("BatchMatMul", (tf, w) -> raw(tf, "BatchMatMul", w, w)),
              Map.entry("BatchMatMulV2", (tf, w) -> raw(tf, "BatchMatMulV2", w, w)),
              Map.entry("BatchMatMulV3", (tf, w) -> batchMatMulV3(tf, w)),
              Map.entry("Log1p", (tf, w) -> tf.math.log1p(w)),
              Map.entry("Pow", (tf, w) -> tf.math.pow(tf.constant(2f), w)),
              Map.entry("Sign", (tf, w) -> tf.math.sign(w)),
              Map.entry("Square", (tf, w) -> tf.math.square(w))));

  /** Others, whose native gradient is the same for the variable as for its value. */
  private static final Map<String, Model> SAFE =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("Abs", (tf, w) -> tf.math.abs(w)),
              Map.entry("Neg", (tf, w) -> tf.math.neg(w)),
              Map.entry("Exp", (tf, w) -> tf.math.exp(w)),
              Map.entry("Log", (tf, w) -> tf.math.log(w)),
              Map.entry("Sqrt", (tf, w) -> tf.math.sqrt(w)),
              Map.entry("Rsqrt", (tf, w) -> tf.math.rsqrt(w)),
              Map.entry("Sin", (tf, w) -> tf.math.sin(w)),
              Map.entry("Tanh", (tf, w) -> tf.math.tanh(w)),
              Map.entry("Sigmoid", (tf, w) -> tf.math.sigmoid(w)),
              Map.entry("Erf", (tf, w) -> tf.math.erf(w)),
              Map.entry("AddV2", (tf, w) -> tf.math.add(w, w)),
              Map.entry("Sub", (tf, w) -> tf.math.sub(tf.constant(1f), w)),
              Map.entry("Mul", (tf, w) -> tf.math.mul(w, w)),
              Map.entry("RealDiv", (tf, w) -> tf.math.div(tf.constant(1f), w)),
              Map.entry("SquaredDifference", (tf, w) -> tf.math.squaredDifference(w, half(tf))),
              Map.entry("Maximum", (tf, w) -> tf.math.maximum(w, half(tf))),
              Map.entry("Minimum", (tf, w) -> tf.math.minimum(half(tf), w)),
              Map.entry("AddN", (tf, w) -> tf.math.addN(List.of(w, w))),
              Map.entry("Sum", (tf, w) -> tf.sum(w, tf.constant(1))),
              Map.entry("Mean", (tf, w) -> tf.math.mean(w, tf.constant(1))),
              Map.entry("Max", (tf, w) -> tf.max(w, tf.constant(1))),
              Map.entry("Prod", (tf, w) -> tf.prod(w, tf.constant(1))),
              Map.entry("Cumsum", (tf, w) -> tf.math.cumsum(w, tf.constant(1))),
              Map.entry("Cast", (tf, w) -> tf.dtypes.cast(w, TFloat32.class)),
              Map.entry("Relu", (tf, w) -> tf.nn.relu(w)),
              Map.entry("Elu", (tf, w) -> tf.nn.elu(w)),
              Map.entry("Softplus", (tf, w) -> tf.math.softplus(w)),
              Map.entry("Softmax", (tf, w) -> tf.nn.softmax(tf.reshape(w, tf.array(-1, 2)))),
              Map.entry("L2Loss", (tf, w) -> tf.nn.l2Loss(w)),
              Map.entry("Identity", (tf, w) -> tf.identity(w)),
              Map.entry("Reshape", (tf, w) -> tf.reshape(w, tf.constant(new int[] {4}))),
              Map.entry("Squeeze", (tf, w) -> tf.squeeze(w)),
              Map.entry("Transpose", (tf, w) -> tf.linalg.transpose(w, tf.array(2, 0, 1))),
              Map.entry(
                  "GatherV2",
                  (tf, w) -> tf.gather(w, tf.constant(new int[] {1, 1}), tf.constant(1))),
              Map.entry("ConcatV2", (tf, w) -> tf.concat(List.of(w, w), tf.constant(0))),
              Map.entry("Pack", (tf, w) -> tf.stack(List.of(w, w))),
              Map.entry("Tile", (tf, w) -> tf.tile(w, tf.array(2, 1, 1))),
              Map.entry("Slice", (tf, w) -> tf.slice(w, tf.array(0, 0, 0), tf.array(1, 1, 2))),
              Map.entry("Einsum", (tf, w) -> tf.linalg.einsum(List.of(w, w), "bij,bjk->bik"))));

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private static Operand<TFloat32> half(Ops tf) {
    return tf.constant(0.5f);
  }

  private static Operand<?> raw(Ops tf, String type, Operand<?>... inputs) {
    OperationBuilder builder =
        tf.scope().env().opBuilder(type, tf.scope().makeOpName(type), tf.scope());
    for (Operand<?> input : inputs) {
      builder.addInput(input.asOutput());
    }
    return builder.build().output(0);
  }

  private static Operand<?> batchMatMulV3(Ops tf, Operand<TFloat32> w) {
    return tf.train.batchMatMul(w, w, TFloat32.class);
  }

  static Stream<String> unsafe() {
    return UNSAFE.keySet().stream();
  }

  static Stream<String> safe() {
    return SAFE.keySet().stream();
  }

  private Variable<TFloat32> variable(String name) {
    return tf.withName(name)
        .variable(tf.constant(new float[][][] {{{0.125f, 0.75f}, {0.375f, 0.625f}}}));
  }

  private Output<?> gradient(Operand<?> loss, Output<?> variable) {
    return Gradients.of(graph, loss).with(List.of(variable)).get(0).orElseThrow().values();
  }

  private float[] fetch(Output<?> output) {
    try (Session session = new Session(graph);
        var result = session.runner().fetch(output).run()) {
      TFloat32 tensor = (TFloat32) result.get(0);
      float[] elements = new float[(int) tensor.size()];
      tensor.asRawTensor().data().asFloats().read(elements);
      return elements;
    }
  }

  @Test
  void everyUnsafeOperationIsTested() {
    assertEquals(Gradients.UNSAFE_ON_REFERENCES, UNSAFE.keySet());
  }

  @ParameterizedTest
  @MethodSource("unsafe")
  void refusesWhatWouldCrash(String type) {
    Variable<TFloat32> w = variable("my_weights");
    Operand<?> loss = UNSAFE.get(type).of(tf.withName("culprit"), w);
    assertEquals(type, loss.asOutput().op().type());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> gradient(loss, w.asOutput()));
    assertEquals(
        "the gradient of the "
            + type
            + " operation '"
            + loss.asOutput().op().name()
            + "' cannot be computed natively with the variable 'my_weights' as its direct input;"
            + " give it tf.identity(variable) instead",
        e.getMessage());
  }

  @ParameterizedTest
  @MethodSource("unsafe")
  void theAdviceOfTheRefusalHelps(String type) {
    Variable<TFloat32> w = variable("w");
    Output<?> gradient = gradient(UNSAFE.get(type).of(tf, tf.identity(w)), w.asOutput());
    assertEquals(4, fetch(gradient).length);
  }

  @ParameterizedTest
  @MethodSource("safe")
  void differentiatesOthersAsWithTheValue(String type) {
    Variable<TFloat32> w = variable("w");
    assertArrayEquals(
        fetch(gradient(SAFE.get(type).of(tf, tf.identity(w)), w.asOutput())),
        fetch(gradient(SAFE.get(type).of(tf, w), w.asOutput())));
  }

  @Test
  void refusesOtherReferencesToo() {
    Variable<TFloat32> w = variable("w");
    Operand<?> loss = tf.math.square(tf.refIdentity(w));
    assertThrows(IllegalArgumentException.class, () -> gradient(loss, w.asOutput()));
  }

  @Test
  void acceptsUnsafeOperationsThatAreNotDifferentiated() {
    Variable<TFloat32> w = variable("w");
    Variable<TFloat32> other = variable("other");
    Operand<?> loss =
        tf.math.mul(tf.math.neg(w), tf.stopGradient(tf.math.add(tf.math.square(w), half(tf))));
    assertNotNull(gradient(loss, w.asOutput()));
    assertNotNull(gradient(tf.math.mul(tf.math.neg(w), tf.math.square(other)), w.asOutput()));
  }

  @Test
  void findsTheVariablesThatALossFollowsFrom() {
    Variable<TFloat32> b = variable("b");
    Variable<TFloat32> a = variable("a");
    VarHandleOp resource = tf.withName("c").varHandleOp(TFloat32.class, Shape.of(1, 2, 2));
    variable("unrelated");
    Variable<TFloat32> held = variable("held_constant");
    Variable<?> integers = tf.variable(tf.constant(3));
    Operand<?> loss =
        tf.math.mul(
            tf.math.mul(tf.math.mul(a, b), tf.readVariableOp(resource, TFloat32.class)),
            tf.math.add(tf.dtypes.cast(integers, TFloat32.class), tf.stopGradient(held)));
    assertEquals(
        List.of("a", "b", "c"),
        Gradients.of(graph, loss).trainableVariables().stream().map(v -> v.op().name()).toList());
  }

  @Test
  void aVariableThatTheLossDoesNotFollowFromHasNoGradient() {
    Variable<TFloat32> w = variable("w");
    Variable<TFloat32> floored = variable("floored");
    Variable<TFloat32> unrelated = variable("unrelated");
    Operand<?> loss = tf.math.mul(tf.math.neg(w), tf.math.floor(floored));
    List<Optional<Derivative>> gradients =
        Gradients.of(graph, loss)
            .with(List.of(unrelated.asOutput(), w.asOutput(), floored.asOutput()));
    assertTrue(gradients.get(0).isEmpty());
    assertTrue(gradients.get(1).isPresent());
    assertTrue(gradients.get(2).isEmpty());
  }

  @Test
  void namesAnOperationWithoutGradient() {
    Variable<TFloat32> w = variable("w");
    Operand<?> loss = tf.math.erfc(w);
    Exception e = assertThrows(RuntimeException.class, () -> gradient(loss, w.asOutput()));
    assertTrue(e.getMessage().contains("No gradient defined for op: Erfc"), e.getMessage());
  }

  private void assertLoopIsRefused(Operand<?> loss, Variable<TFloat32> variable) {
    IllegalArgumentException thrown =
        assertThrows(
            IllegalArgumentException.class,
            () -> Gradients.of(graph, loss).with(List.of(variable.asOutput())));
    assertTrue(
        thrown.getMessage().contains("TensorFlow cannot compute the gradients of loops"),
        thrown.getMessage());
  }

  /** It would end the process, or fail, or make a graph that cannot run. */
  @Test
  void lossesOfLoopsAreRefused() {
    Variable<TFloat32> w = variable("w");
    Operand<TFloat32> value = tf.identity(w);
    Output<?>[] results = counted(tf.constant(0f), tf.constant(1f), value);
    Operand<TFloat32> ofOne = results[1].expect(TFloat32.class);
    assertLoopIsRefused(ofOne, w);
    // The counter does not follow from the variable.
    assertLoopIsRefused(sum(results), w);
    Operand<TFloat32> held =
        counted(tf.constant(0f), tf.constant(1f), tf.stopGradient(value))[1].expect(TFloat32.class);
    assertLoopIsRefused(tf.math.mul(value, held), w);
    assertLoopIsRefused(tf.math.mul(value, tf.stopGradient(ofOne)), w);
    Operand<TFloat32> start = tf.reduceSum(value, tf.constant(new int[] {0, 1, 2}));
    assertLoopIsRefused(sum(counted(start, value, value)), w);
  }

  @Test
  void lossesOfLoopsHaveGradientsByWhatIsNotInTheLoop() {
    Variable<TFloat32> w = variable("w");
    Variable<TFloat32> beside = variable("beside");
    Output<?>[] results = counted(tf.constant(0f), tf.constant(1f), tf.identity(w));
    Operand<TFloat32> loss = tf.math.mul(beside, results[1].expect(TFloat32.class));
    assertArrayEquals(fetch(results[1]), fetch(gradient(loss, beside.asOutput())));
    // Of the second optimizer of a loss.
    assertArrayEquals(fetch(results[1]), fetch(gradient(loss, beside.asOutput())));
  }

  private Operand<TFloat32> sum(Output<?>[] results) {
    return tf.math.addN(
        Stream.of(results).<Operand<TFloat32>>map(each -> each.expect(TFloat32.class)).toList());
  }

  /** Multiplies three times. */
  private Output<?>[] counted(
      Operand<TFloat32> start, Operand<TFloat32> x, Operand<TFloat32> factor) {
    return graph.whileLoop(
        new Output<?>[] {start.asOutput(), x.asOutput(), factor.asOutput()},
        (condition, in, out) -> {
          Ops ops = Ops.create(condition);
          out[0] = ops.math.less(in[0].expect(TFloat32.class), ops.constant(3f)).asOutput();
        },
        (body, in, out) -> {
          Ops ops = Ops.create(body);
          Operand<TFloat32> by = in[2].expect(TFloat32.class);
          out[0] = ops.math.add(in[0].expect(TFloat32.class), ops.constant(1f)).asOutput();
          out[1] = ops.math.mul(in[1].expect(TFloat32.class), by).asOutput();
          out[2] = ops.identity(by).asOutput();
        },
        tf.scope().makeOpName("loop"));
  }
}
