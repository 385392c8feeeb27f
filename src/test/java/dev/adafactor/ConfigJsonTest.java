package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.schedules.LearningRateSchedule;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

class ConfigJsonTest {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** The JSON that tf_keras's {@code get_config()} and {@code serialize()} gave. */
  static Stream<String> recorded() throws IOException {
    try (InputStream file = ConfigJsonTest.class.getResourceAsStream("/goldens/configs.json")) {
      JsonNode configs = MAPPER.readTree(file).get("configs");
      return StreamSupport.stream(configs.spliterator(), false)
          .map(config -> config.get("json").textValue());
    }
  }

  private static String rewritten(String json) {
    try (Graph graph = new Graph()) {
      return Adafactor.fromConfig(graph, json).build().toJson();
    }
  }

  /** The same tree with every number as a double: 1 and 1.0 are the same to Python's reader. */
  private static JsonNode normalized(JsonNode node) {
    if (node.isNumber()) {
      return JsonNodeFactory.instance.numberNode(node.doubleValue());
    }
    if (node instanceof ArrayNode array) {
      ArrayNode result = JsonNodeFactory.instance.arrayNode();
      array.forEach(element -> result.add(normalized(element)));
      return result;
    }
    if (node instanceof ObjectNode object) {
      ObjectNode result = JsonNodeFactory.instance.objectNode();
      object.properties().forEach(e -> result.set(e.getKey(), normalized(e.getValue())));
      return result;
    }
    return node;
  }

  private static String refusal(String json) {
    return assertThrows(IllegalArgumentException.class, () -> rewritten(json)).getMessage();
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void writesWhatItReads(String json) throws IOException {
    JsonNode recorded = MAPPER.readTree(json);
    JsonNode config = recorded.has("class_name") ? recorded.get("config") : recorded;
    assertEquals(normalized(config), normalized(MAPPER.readTree(rewritten(json))));
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void serializesAsTfKeras(String json) throws IOException {
    JsonNode recorded = MAPPER.readTree(json);
    if (recorded.has("class_name")) {
      try (Graph graph = new Graph()) {
        String serialized = Adafactor.fromConfig(graph, json).build().serialize();
        assertEquals(normalized(recorded), normalized(MAPPER.readTree(serialized)));
        assertEquals(rewritten(json), rewritten(serialized));
      }
    }
  }

  @Test
  void readsTheLegacyForm() {
    assertEquals(
        rewritten("{\"epsilon_1\": 0.5}"),
        rewritten("{\"class_name\": \"Custom>Adafactor\", \"config\": {\"epsilon_1\": 0.5}}"));
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void describesAnOptimizerByItsConfiguration(String json) throws IOException {
    try (Graph graph = new Graph()) {
      Adafactor adafactor = Adafactor.fromConfig(graph, json).build();
      String text = adafactor.toString();
      assertTrue(text.startsWith("Adafactor{"), text);
      assertEquals(
          MAPPER.readTree(adafactor.toJson()),
          MAPPER.readTree(text.substring("Adafactor".length())));
    }
  }

  @Test
  void missingArgumentsHaveTheirDefaults() {
    try (Graph graph = new Graph()) {
      assertEquals(new Adafactor(graph).toJson(), rewritten("{}"));
    }
  }

  @Test
  void numbersAndTruthValuesStandForEachOtherAsInPython() {
    assertEquals(
        rewritten("{\"use_ema\": true, \"relative_step\": false, \"weight_decay\": 0.0}"),
        rewritten("{\"use_ema\": 1, \"relative_step\": null, \"weight_decay\": false}"));
    assertEquals(
        rewritten("{\"learning_rate\": 1, \"use_ema\": true, \"ema_overwrite_frequency\": 1}"),
        rewritten(
            "{\"learning_rate\": true, \"use_ema\": true, \"ema_overwrite_frequency\": true}"));
    assertEquals(rewritten("{}"), rewritten("{\"ema_momentum\": null}"));
  }

  @Test
  void readsPythonsSpellingOfInfinity() throws IOException {
    String json = rewritten("{\"clip_threshold\": Infinity}");
    assertTrue(json.contains("\"clip_threshold\":Infinity"), json);
    assertEquals(json, rewritten(json));
  }

  @ParameterizedTest
  @CsvSource({"decay", "gradient_aggregator", "gradient_transformers"})
  void deprecatedArgumentsAreRefusedInTheWordsOfTfKeras(String key) {
    assertEquals(
        key
            + " is deprecated in the new TF-Keras optimizer, please check the docstring for valid"
            + " arguments, or use the legacy optimizer, e.g.,"
            + " tf.keras.optimizers.legacy.Adafactor.",
        refusal("{\"" + key + "\": 0.1}"));
  }

  @Test
  void theFirstOfSeveralDeprecatedArgumentsIsNamed() {
    assertTrue(
        refusal("{\"gradient_aggregator\": null, \"decay\": 1}")
            .startsWith("gradient_aggregator is deprecated"));
  }

  @Test
  void theOldNameOfTheLearningRateIsWarnedAboutAndIgnored() {
    try (LogCapture log = new LogCapture(ConfigJson.class)) {
      assertEquals(rewritten("{}"), rewritten("{\"lr\": 0.5}"));
      assertEquals(
          List.of(
              "WARNING `lr` is deprecated in TF-Keras optimizer and ignored, please use"
                  + " `learning_rate`."),
          log.messages());
    }
  }

  @Test
  void anOldLearningRateOfZeroIsIgnoredSilentlyAsInTfKeras() {
    try (LogCapture log = new LogCapture(ConfigJson.class)) {
      assertEquals(rewritten("{}"), rewritten("{\"lr\": 0, \"is_legacy_optimizer\": true}"));
      assertEquals(List.of(), log.messages());
    }
  }

  @Test
  void aMeshIsRefusedUnlessNull() {
    assertEquals(rewritten("{}"), rewritten("{\"mesh\": null}"));
    assertEquals(
        "`mesh` cannot be given in a configuration", refusal("{\"mesh\": {\"dims\": [2]}}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"beta_1\": 0.9, \"decay_rate\": 1} | Adafactor has no argument `beta_1`; its arguments"
            + " are learning_rate, beta_2_decay, epsilon_1, epsilon_2, clip_threshold,"
            + " relative_step, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema,"
            + " ema_momentum, ema_overwrite_frequency, jit_compile, name, lr, mesh,"
            + " is_legacy_optimizer. Received: 0.9",
        "{\"epsilon_1\": \"x\"} | Adafactor: `epsilon_1` must be a number. Received: \"x\"",
        "{\"epsilon_2\": null} | Adafactor: `epsilon_2` must be a number. Received: null",
        "{\"clipnorm\": [1]} | Adafactor: `clipnorm` must be a number or null. Received: [1]",
        "{\"use_ema\": \"no\"} | Adafactor: `use_ema` must be true or false. Received: \"no\"",
        "{\"use_ema\": true, \"ema_momentum\": null} | Adafactor: `ema_momentum` must be a number."
            + " Received: null",
        "{\"ema_overwrite_frequency\": 2.5} | Adafactor: `ema_overwrite_frequency` must be an"
            + " integer (of 32 bits) or null. Received: 2.5",
        "{\"ema_overwrite_frequency\": 4294967296} | Adafactor: `ema_overwrite_frequency` must be an"
            + " integer (of 32 bits) or null. Received: 4294967296",
        "{\"name\": 3} | Adafactor: `name` must be a string or null. Received: 3",
        "{\"learning_rate\": \"0.1\"} | Adafactor: `learning_rate` must be a number or a serialized"
            + " schedule. Received: \"0.1\"",
        "{\"learning_rate\": 1e39} | `learning_rate` must fit into float32. Received:"
            + " learning_rate=1.0E39",
        "{\"epsilon_2\": 1e400} | `epsilon_2` must be a finite number. Received:"
            + " epsilon_2=Infinity",
        "{\"learning_rate\": {}} | Adafactor: `learning_rate` must be a number or a serialized"
            + " schedule with a `class_name` and a `config`. Received: {}",
        "{\"learning_rate\": {\"class_name\": \"CosineDecay\"}} | Adafactor: `learning_rate`: the"
            + " argument `config` is missing",
        "{\"learning_rate\": {\"class_name\": 3, \"config\": {}}} | Adafactor: `learning_rate`:"
            + " `class_name` must be a string. Received: 3",
        "{\"learning_rate\": {\"class_name\": \"CosineDecay\", \"config\":"
            + " {\"initial_learning_rate\": 1}}} | CosineDecay: the argument `decay_steps` is"
            + " missing",
        "{\"learning_rate\": {\"class_name\": \"CosineDecay\", \"config\":"
            + " {\"initial_learning_rate\": 1, \"decay_steps\": 5, \"warm\": 1}}} | CosineDecay has"
            + " no argument `warm`; its arguments are warmup_target, warmup_steps,"
            + " initial_learning_rate, decay_steps, alpha, name. Received: 1",
        "{\"learning_rate\": {\"class_name\": \"PiecewiseConstantDecay\", \"config\":"
            + " {\"boundaries\": 3}}} | PiecewiseConstantDecay: `boundaries` must be a list of"
            + " numbers. Received: 3",
        "{\"class_name\": \"Adam\", \"config\": {}} | configuration: `class_name` must be"
            + " Adafactor. Received: \"Adam\"",
        "{\"class_name\": \"Adafactor\"} | configuration: the argument `config` is missing",
        "{\"class_name\": \"Adafactor\", \"config\": 1} | configuration: `config` must be an"
            + " object. Received: 1",
        "{\"class_name\": \"Adafactor\", \"config\": {}, \"module\": \"mine\"} | configuration:"
            + " `module` must be \"keras.optimizers\". Received: \"mine\"",
        "{\"class_name\": \"Adafactor\", \"config\": {}, \"registered_name\": \"mine>Adafactor\"} |"
            + " configuration: `registered_name` must be null or \"Custom>Adafactor\". Received:"
            + " \"mine>Adafactor\"",
        "{\"class_name\": \"Adafactor\", \"config\": {}, \"lr\": 1} | configuration has no argument"
            + " `lr`; its arguments are class_name, registered_name, module, config,"
            + " shared_object_id. Received: 1",
        "{\"epsilon_1\": NaN} | `epsilon_1` must be a finite number. Received: epsilon_1=NaN",
        "[] | the configuration must be a JSON object, as get_config() or serialize() gives it."
            + " Received: []",
        "{\"name\": \"a\",\"name\": \"b\"} | the configuration is not JSON: Duplicate field 'name'"
            + " (line 1, column 20)",
        "{ | the configuration is not JSON: Unexpected end-of-input: expected close marker for"
            + " Object (line 1, column 2)",
      })
  void whatIsWrongIsNamed(String json, String message) {
    assertEquals(message, refusal(json));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {"''", "{", "{'name': 1}", "{} {}"})
  void textThatIsNotJsonIsRefused(String text) {
    String message = refusal(text);
    assertTrue(message.startsWith("the configuration is not JSON: "), message);
    assertEquals(1, message.lines().count(), message);
  }

  /** A schedule of a user, without a configuration. */
  private static final class Constant implements LearningRateSchedule {
    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return tf.constant(0.5f);
    }

    @Override
    public String toString() {
      return "half";
    }
  }

  @Test
  void aScheduleWithoutConfigurationCanBeDescribedButNotWritten() {
    try (Graph graph = new Graph()) {
      Adafactor adafactor = Adafactor.builder(graph).learningRate(new Constant()).build();
      assertTrue(adafactor.toString().contains("\"learning_rate\":\"half\""));
      IllegalStateException e = assertThrows(IllegalStateException.class, adafactor::toJson);
      assertEquals(
          "the learning rate schedule dev.adafactor.ConfigJsonTest$Constant has no configuration:"
              + " implement ConfigurableSchedule to write it as JSON",
          e.getMessage());
    }
  }
}
