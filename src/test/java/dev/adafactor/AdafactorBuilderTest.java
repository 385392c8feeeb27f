package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.framework.constraints.NonNeg;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;

class AdafactorBuilderTest {

  private interface DoubleSetter {
    Adafactor.Builder set(Adafactor.Builder builder, double value);
  }

  private static final Map<String, DoubleSetter> FINITE =
      Map.of(
          "learning_rate", Adafactor.Builder::learningRate,
          "beta_2_decay", Adafactor.Builder::beta2Decay,
          "epsilon_1", Adafactor.Builder::epsilon1,
          "epsilon_2", Adafactor.Builder::epsilon2,
          "weight_decay", Adafactor.Builder::weightDecay,
          "clipnorm", Adafactor.Builder::clipnorm,
          "global_clipnorm", Adafactor.Builder::globalClipnorm,
          "ema_momentum", Adafactor.Builder::emaMomentum);

  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final Adafactor.Builder builder = Adafactor.builder(graph);

  @AfterEach
  void close() {
    graph.close();
  }

  private static void assertRefused(String message, Runnable setter) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, setter::run).getMessage());
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void numbersMustBeFinite(double value) {
    FINITE.forEach(
        (argument, setter) ->
            assertRefused(
                "`%s` must be a finite number. Received: %s=%s"
                    .formatted(argument, argument, value),
                () -> setter.set(builder, value)));
  }

  @Test
  void clippingMustBeByANumber() {
    assertRefused(
        "`clip_threshold` must be a number. Received: clip_threshold=NaN",
        () -> builder.clipThreshold(Double.NaN));
    assertRefused(
        "`clipvalue` must be a number. Received: clipvalue=NaN",
        () -> builder.clipvalue(Double.NaN));
  }

  /** Takes two steps with gradient 1 from 2 and gives where they lead. */
  private float train(UnaryOperator<Adafactor.Builder> arguments) {
    Variable<TFloat32> w = tf.variable(tf.constant(2f));
    Op train =
        arguments
            .apply(builder)
            .build()
            .applyGradients(
                List.of(new GradAndVar<>(tf.constant(1f).asOutput(), w.asOutput())), "train");
    try (Session session = new Session(graph)) {
      session.run(train);
      session.run(train);
      try (var result = session.runner().fetch(w).run()) {
        return ((TFloat32) result.get(0)).getFloat();
      }
    }
  }

  @Test
  void theLearningRateCanBeZeroOrNegative() {
    assertEquals(2, train(b -> b.learningRate(0)));
    assertTrue(train(b -> b.learningRate(-0.1)) > 2);
  }

  @Test
  void epsilonsCanBeZero() {
    assertTrue(train(b -> b.epsilon1(0).epsilon2(0)) < 2);
  }

  @Test
  void aClipThresholdOfZeroFreezes() {
    assertEquals(2, train(b -> b.clipThreshold(0)));
  }

  @Test
  void anInfiniteClipThresholdClipsNothing() {
    assertTrue(train(b -> b.clipThreshold(Double.POSITIVE_INFINITY)) < 2);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1})
  void normsThatAreNotPositiveClipNothing(double norm) {
    float free = train(b -> b);
    assertEquals(free, train(b -> b.clipnorm(norm).clipvalue(norm)));
  }

  @Test
  void theMomentumMattersOnlyWithAverages() {
    assertTrue(train(b -> b.emaMomentum(5)) < 2);
    assertRefused(
        "`ema_momentum` must be in the range [0, 1]. Received: ema_momentum=5.0",
        () -> builder.useEma(true));
  }

  @Test
  void theMomentumIsCheckedWithAverages() {
    builder.useEma(true);
    assertRefused(
        "`ema_momentum` must be in the range [0, 1]. Received: ema_momentum=-0.5",
        () -> builder.emaMomentum(-0.5));
  }

  @Test
  void theFrequencyIsCheckedWithAverages() {
    builder.emaOverwriteFrequency(-3);
    assertRefused(
        "`ema_overwrite_frequency` must be an integer > 1 or None. Received:"
            + " ema_overwrite_frequency=-3",
        () -> builder.useEma(true));
  }

  @Test
  void averagesCanReplaceTheVariablesAfterEachStep() {
    // With momentum 1 the average stays where it began.
    assertEquals(2, train(b -> b.useEma(true).emaMomentum(1).emaOverwriteFrequency(1)));
  }

  @Test
  void thereIsOnlyOneNormToClipTo() {
    builder.clipnorm(1);
    assertRefused(
        "At most one of `clipnorm` and `global_clipnorm` can be set. Received: clipnorm=1.0,"
            + " global_clipnorm=2.0.",
        () -> builder.globalClipnorm(2));
  }

  @Test
  void exclusionsMustBeRegularExpressions() {
    assertRefused(
        "excludeFromWeightDecay: '(' is not a regular expression: Unclosed group",
        () -> builder.excludeFromWeightDecay("bias", "("));
  }

  @Test
  void exclusionsAndConstraintsMustBeOfVariables() {
    String message =
        "'c:0' is the output of a Const, not a variable: give the output of a VariableV2 or the"
            + " handle of a VarHandleOp";
    var constant = tf.withName("c").constant(1f);
    assertRefused(message, () -> builder.excludeFromWeightDecay(List.of(constant)));
    assertRefused(message, () -> builder.constraint(constant, new NonNeg()));
  }

  @Test
  void anyTextIsAName() {
    for (String name : List.of("a b", "x/y", "_", "ö", "")) {
      Adafactor adafactor = Adafactor.builder(graph).name(name).build();
      assertTrue(adafactor.toJson().startsWith("{\"name\":\"" + name + "\""), adafactor.toJson());
    }
    assertTrue(Adafactor.builder(graph).name(null).build().toJson().startsWith("{\"name\":null"));
  }

  @Test
  void compilationIsOffWhereThereIsNoGpu() {
    // As in tf_keras, whose configuration then says false too.
    boolean gpu = dev.adafactor.graph.Devices.hasGpu();
    assertTrue(builder.jitCompile(true).build().toJson().contains("\"jit_compile\":" + gpu));
    assertTrue(
        builder.jitCompile(JitCompile.ALWAYS).build().toJson().contains("\"jit_compile\":true"));
    assertTrue(builder.jitCompile(false).build().toJson().contains("\"jit_compile\":false"));
  }
}
