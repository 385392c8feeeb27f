package dev.adafactor.schedules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.Adafactor;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

class ScheduleRegistryTest {

  private static final ScheduleRegistry OWN =
      ScheduleRegistry.standard()
          .with("mine>Half", Half::of)
          .with("Longest", config -> new Longest(config.schedule("of"), config.bool("strict")));

  private static final Map<String, Object> COSINE =
      map("initial_learning_rate", 0.1, "decay_steps", 8);

  /** Half of another schedule's rate. */
  private record Half(LearningRateSchedule of) implements ConfigurableSchedule {
    static Half of(ConfigReader config) {
      return new Half(config.schedule("of"));
    }

    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return tf.math.mul(of.learningRate(tf, step), tf.constant(0.5f));
    }

    @Override
    public String registeredName() {
      return "mine>Half";
    }

    @Override
    public Map<String, Object> config() {
      return Map.of("of", of);
    }
  }

  private record Longest(LearningRateSchedule of, boolean strict) implements ConfigurableSchedule {
    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return of.learningRate(tf, step);
    }

    @Override
    public Map<String, Object> config() {
      return map("of", List.of(of), "strict", strict);
    }
  }

  private static Map<String, Object> map(Object... keysAndValues) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      map.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    return map;
  }

  private static String refusal(Map<String, Object> serialized) {
    return assertThrows(IllegalArgumentException.class, () -> OWN.read("learning_rate", serialized))
        .getMessage();
  }

  @Test
  void tellsWhichScheduleItDoesNotKnow() {
    ScheduleRegistry standard = ScheduleRegistry.standard();
    assertEquals(Optional.empty(), standard.unknown(map("class_name", "CosineDecay")));
    assertEquals(Optional.of("Noam"), standard.unknown(map("class_name", "Noam")));
    Map<String, Object> registered = map("class_name", "Half", "registered_name", "mine>Half");
    assertEquals(Optional.of("mine>Half"), standard.unknown(registered));
    assertEquals(Optional.empty(), OWN.unknown(registered));
    assertEquals(
        Optional.empty(),
        standard.unknown(map("class_name", "CosineDecay", "registered_name", null)));
    assertEquals(Optional.empty(), standard.unknown(Map.of()));
  }

  @Test
  void aRegisteredNameComesBeforeTheNameOfTheClass() {
    Map<String, Object> nested = map("class_name", "CosineDecay", "config", COSINE);
    LearningRateSchedule schedule =
        OWN.read(
            "learning_rate",
            map(
                "module", "mine.schedules",
                "class_name", "CosineDecay",
                "config", map("of", nested),
                "registered_name", "mine>Half"));
    assertEquals(new Half(new CosineDecay(0.1, 8)), schedule);
  }

  @Test
  void theLegacyFormHasTheRegisteredNameForTheClass() {
    Map<String, Object> nested = map("class_name", "CosineDecay", "config", COSINE);
    assertEquals(
        new Half(new CosineDecay(0.1, 8)),
        OWN.read("learning_rate", map("class_name", "mine>Half", "config", map("of", nested))));
  }

  @Test
  void whatIsWrittenIsReadAgain() throws IOException {
    Half half = new Half(new Half(new PiecewiseConstantDecay(List.of(3.0), List.of(0.5, 0.25))));
    try (Graph graph = new Graph()) {
      Adafactor adafactor = Adafactor.builder(graph).learningRate(half).build();
      Adafactor again = Adafactor.fromConfig(graph, adafactor.toJson(), OWN).build();
      assertEquals(adafactor.toJson(), again.toJson());
      ObjectMapper mapper = new ObjectMapper();
      assertEquals(
          mapper.writeValueAsString(half.serialized()),
          mapper.readTree(adafactor.toJson()).get("learning_rate").toString());
    }
    assertEquals(half, OWN.read("learning_rate", half.serialized()));
  }

  @Test
  void aScheduleOfAUsersIsWrittenAsPythonFindsIt() {
    Map<String, Object> cosine =
        map(
            "module",
            "keras.optimizers.schedules",
            "class_name",
            "CosineDecay",
            "config",
            map(
                "initial_learning_rate",
                0.1,
                "decay_steps",
                8L,
                "alpha",
                0.0,
                "name",
                null,
                "warmup_target",
                null,
                "warmup_steps",
                0L),
            "registered_name",
            null);
    assertEquals(
        map(
            "module",
            null,
            "class_name",
            "Longest",
            "config",
            map("of", List.of(cosine), "strict", true),
            "registered_name",
            "Longest"),
        new Longest(new CosineDecay(0.1, 8), true).serialized());
  }

  @Test
  void theStepsOfAWarmUpCountOnlyWithATarget() {
    Map<String, Object> cosine =
        map("initial_learning_rate", 0.1, "decay_steps", 8, "warmup_steps", null);
    assertEquals(
        new CosineDecay(0.1, 8),
        OWN.read("learning_rate", map("class_name", "CosineDecay", "config", cosine)));
    cosine.put("warmup_target", 0.2);
    assertEquals(
        "CosineDecay: `warmup_steps` must be a number. Received: null",
        refusal(map("class_name", "CosineDecay", "config", cosine)));
  }

  @Test
  void aRegistryIsNotChangedByOneThatHasMore() {
    OWN.with("more", Half::of);
    assertTrue(
        refusal(map("class_name", "more", "config", map())).contains("unknown schedule 'more'"));
  }

  @ParameterizedTest
  @CsvSource({"CosineDecay", "mine>Half"})
  void aNameStandsForOneSchedule(String name) {
    assertEquals(
        "there is a schedule '" + name + "' already; a name stands for one schedule",
        assertThrows(IllegalArgumentException.class, () -> OWN.with(name, Half::of)).getMessage());
  }

  @Test
  void anUnknownScheduleIsNamedWithThoseThatAreKnown() {
    assertEquals(
        "learning_rate is of the unknown schedule 'yours>Noam'; known are ExponentialDecay,"
            + " InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay,"
            + " CosineDecayRestarts, mine>Half, Longest. A ScheduleRegistry, or for the program a"
            + " ScheduleProvider, brings one of your own",
        refusal(
            map("class_name", "CosineDecay", "config", map(), "registered_name", "yours>Noam")));
  }

  @Test
  void aClassOfTheSameNameInAnotherModuleIsNotTakenForTfKerass() {
    for (Object module : Arrays.asList("mine.schedules", null, 3)) {
      assertTrue(
          refusal(map("class_name", "CosineDecay", "config", COSINE, "module", module))
              .startsWith(
                  "learning_rate: `module` must be \"keras.optimizers.schedules\" for a schedule of"
                      + " tf_keras. Received: "));
    }
    for (String module : List.of("keras.optimizers.schedules", "tf_keras.optimizers.schedules")) {
      assertInstanceOf(
          CosineDecay.class,
          OWN.read(
              "learning_rate",
              map("class_name", "CosineDecay", "config", COSINE, "module", module)));
    }
  }

  @Test
  void whatIsWrongWithinASchedulesScheduleIsNamed() {
    assertEquals(
        "mine>Half: `of` must be a serialized schedule. Received: 3",
        refusal(map("class_name", "mine>Half", "config", map("of", 3))));
    assertEquals(
        "CosineDecay: the argument `initial_learning_rate` is missing",
        refusal(
            map(
                "class_name",
                "mine>Half",
                "config",
                map("of", map("class_name", "CosineDecay", "config", map())))));
    assertEquals(
        "mine>Half: `of` has no argument `x`; its arguments are class_name, config,"
            + " registered_name, module, shared_object_id. Received: [1]",
        refusal(
            map(
                "class_name",
                "mine>Half",
                "config",
                map("of", map("class_name", "CosineDecay", "config", COSINE, "x", List.of(1))))));
    assertEquals(
        "Longest has no argument `more`; its arguments are of, strict. Received: 1",
        refusal(
            map(
                "class_name",
                "Longest",
                "config",
                map(
                    "of",
                    map("class_name", "CosineDecay", "config", COSINE),
                    "strict",
                    true,
                    "more",
                    1))));
  }

  /** Named in META-INF/services of the tests. */
  public static final class Installed implements ScheduleProvider {
    @Override
    public String registeredName() {
      return "tests>Installed";
    }

    @Override
    public LearningRateSchedule create(ConfigReader config) {
      double rate = config.number("rate");
      return (tf, step) -> tf.constant((float) rate);
    }
  }

  @Test
  void providersAreInstalled() {
    ScheduleRegistry installed = ScheduleRegistry.installed();
    Map<String, Object> form = map("class_name", "tests>Installed", "config", map("rate", 0.5));
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      var rate = installed.read("learning_rate", form).learningRate(tf, tf.constant(0L));
      assertEquals("Const", rate.op().type());
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> ScheduleRegistry.standard().read("learning_rate", form));
  }
}
