package dev.adafactor.schedules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GraphOptions;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

class LearningRateScheduleTest {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** The rates that tf_keras gave. */
  record Recorded(
      ConfigurableSchedule schedule, JsonNode config, List<Long> steps, List<Integer> bits) {
    @Override
    public String toString() {
      return schedule.toString();
    }
  }

  static Stream<Recorded> recorded() throws IOException {
    try (InputStream file =
        LearningRateScheduleTest.class.getResourceAsStream("/goldens/schedules.json")) {
      JsonNode schedules = MAPPER.readTree(file).get("schedules");
      return StreamSupport.stream(schedules.spliterator(), false)
          .map(
              json -> {
                List<Long> steps = new ArrayList<>();
                json.get("steps").forEach(step -> steps.add(step.longValue()));
                List<Integer> bits = new ArrayList<>();
                json.get("bits").forEach(rate -> bits.add(rate.intValue()));
                JsonNode config = json.get("config");
                return new Recorded(
                    schedule(json.get("class_name").textValue(), config), config, steps, bits);
              });
    }
  }

  private static ConfigurableSchedule schedule(String className, JsonNode config) {
    Map<String, Object> form =
        Map.of(
            "class_name",
            className,
            "config",
            MAPPER.convertValue(config, new TypeReference<Map<String, Object>>() {}));
    return (ConfigurableSchedule) ScheduleRegistry.standard().read("learning_rate", form);
  }

  /** Without the rewriting of graphs, which changes rounding. */
  private static ConfigProto asWritten() {
    return ConfigProto.newBuilder()
        .setGraphOptions(
            GraphOptions.newBuilder()
                .setRewriteOptions(RewriterConfig.newBuilder().setDisableMetaOptimizer(true)))
        .build();
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void givesTheRatesOfTfKerasBitForBit(Recorded recorded) {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Placeholder<TInt64> step = tf.placeholder(TInt64.class, Placeholder.shape(Shape.scalar()));
      Operand<TFloat32> rate = recorded.schedule().learningRate(tf, step);
      assertEquals(Shape.scalar(), rate.shape());
      List<Integer> bits = new ArrayList<>();
      try (Session session = new Session(graph, true, asWritten())) {
        for (long at : recorded.steps()) {
          try (TInt64 fed = TInt64.scalarOf(at);
              Result result = session.runner().feed(step, fed).fetch(rate).run()) {
            bits.add(Float.floatToRawIntBits(((TFloat32) result.get(0)).getFloat()));
          }
        }
      }
      assertEquals(recorded.bits(), bits);
    }
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void hasTheConfigurationOfTfKeras(Recorded recorded) {
    Map<String, Object> config = recorded.schedule().config();
    List<String> keys = new ArrayList<>();
    recorded.config().fieldNames().forEachRemaining(keys::add);
    assertEquals(keys, List.copyOf(config.keySet()));
    assertEquals(
        recorded.schedule(),
        schedule(recorded.schedule().registeredName(), MAPPER.valueToTree(config)));
  }

  private static void assertRefused(String message, Executable schedule) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, schedule).getMessage());
  }

  @Test
  void numbersOfStepsMustNotBeZero() {
    assertRefused(
        "ExponentialDecay: `decay_steps` must not be 0 in float32. Received: 0.0",
        () -> new ExponentialDecay(1, 0, 0.5));
    assertRefused(
        "InverseTimeDecay: `decay_steps` must not be 0 in float32. Received: 0.0",
        () -> new InverseTimeDecay(1, 0, 0.5));
    assertRefused(
        "PolynomialDecay: `decay_steps` must not be 0 in float32. Received: 0.0",
        () -> new PolynomialDecay(1, 0));
    assertRefused(
        "CosineDecay: `decay_steps` must not be 0 in float32. Received: 0.0",
        () -> new CosineDecay(1, 0));
    assertRefused(
        "CosineDecayRestarts: `first_decay_steps` must not be 0 in float32. Received: 0.0",
        () -> new CosineDecayRestarts(1, 0));
  }

  @Test
  void numbersMustBeFinite() {
    assertRefused(
        "ExponentialDecay: `decay_rate` must be a finite float32 number. Received: NaN",
        () -> new ExponentialDecay(1, 1, Double.NaN));
    assertRefused(
        "InverseTimeDecay: `initial_learning_rate` must be a finite float32 number. Received: Infinity",
        () -> new InverseTimeDecay(Double.POSITIVE_INFINITY, 1, 1));
    assertRefused(
        "PolynomialDecay: `power` must be a finite float32 number. Received: NaN",
        () -> new PolynomialDecay(1, 1, 0, Double.NaN, false, null));
    assertRefused(
        "CosineDecay: `warmup_target` must be a finite float32 number. Received: NaN",
        () -> new CosineDecay(1, 1, 0, null, Double.NaN, 0));
    assertRefused(
        "CosineDecayRestarts: `m_mul` must be a finite float32 number. Received: -Infinity",
        () -> new CosineDecayRestarts(1, 1, 1, Double.NEGATIVE_INFINITY, 0, null));
    assertRefused(
        "PiecewiseConstantDecay: `values` must be a finite float32 number. Received: NaN",
        () -> new PiecewiseConstantDecay(List.of(1.0), List.of(1.0, Double.NaN)));
  }

  @Test
  void boundariesMustRiseBetweenTheValues() {
    assertRefused(
        "The length of boundaries should be 1 less than the length of values. Received:"
            + " boundaries=[1.0] of length 1, and values=[1.0] of length 1.",
        () -> new PiecewiseConstantDecay(List.of(1.0), List.of(1.0)));
    assertRefused(
        "PiecewiseConstantDecay: `boundaries` must have at least one entry. Received: []",
        () -> new PiecewiseConstantDecay(List.of(), List.of(1.0)));
    assertRefused(
        "PiecewiseConstantDecay: `boundaries` must be in rising order. Received: [2.0, 1.0]",
        () -> new PiecewiseConstantDecay(List.of(2.0, 1.0), List.of(1.0, 2.0, 3.0)));
  }
}
