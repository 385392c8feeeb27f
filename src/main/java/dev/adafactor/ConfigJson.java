package dev.adafactor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.CosineDecay;
import dev.adafactor.schedules.CosineDecayRestarts;
import dev.adafactor.schedules.ExponentialDecay;
import dev.adafactor.schedules.InverseTimeDecay;
import dev.adafactor.schedules.LearningRateSchedule;
import dev.adafactor.schedules.PiecewiseConstantDecay;
import dev.adafactor.schedules.PolynomialDecay;
import java.lang.System.Logger.Level;
import java.util.OptionalDouble;
import java.util.Set;

/** Configurations as tf_keras's {@code get_config()} and {@code serialize()} give them. */
final class ConfigJson {

  private static final System.Logger LOG = System.getLogger(ConfigJson.class.getName());

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          // Python writes NaN and Infinity so.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();

  /** Arguments that tf_keras's {@code _process_kwargs} refuses. */
  private static final Set<String> DEPRECATED =
      Set.of("decay", "gradient_aggregator", "gradient_transformers");

  private ConfigJson() {}

  /**
   * tf_keras's {@code get_config()}, as text.
   *
   * @param current the learning rate, which can have changed since the configuration
   */
  static String write(AdafactorConfig config, LearningRateSchedule current, boolean jitCompile) {
    ObjectNode json = arguments(config, jitCompile);
    json.set("learning_rate", learningRate(current));
    return text(json);
  }

  /** Not by the node's {@code toString}, which makes a string of an infinite number. */
  private static String text(ObjectNode json) {
    try {
      return MAPPER.writeValueAsString(json);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static ObjectNode arguments(AdafactorConfig config, boolean jitCompile) {
    ObjectNode json = MAPPER.createObjectNode();
    json.put("name", config.name());
    put(json, "weight_decay", config.weightDecay());
    put(json, "clipnorm", config.clipnorm());
    put(json, "global_clipnorm", config.globalClipnorm());
    put(json, "clipvalue", config.clipvalue());
    json.put("use_ema", config.useEma());
    json.put("ema_momentum", config.emaMomentum());
    if (config.emaOverwriteFrequency().isPresent()) {
      json.put("ema_overwrite_frequency", config.emaOverwriteFrequency().getAsInt());
    } else {
      json.putNull("ema_overwrite_frequency");
    }
    json.put("jit_compile", jitCompile);
    json.put("is_legacy_optimizer", false);
    json.putNull("learning_rate"); // its place among the others
    json.put("beta_2_decay", config.beta2Decay());
    json.put("epsilon_1", config.epsilon1());
    json.put("epsilon_2", config.epsilon2());
    json.put("clip_threshold", config.clipThreshold());
    json.put("relative_step", config.relativeStep());
    return json;
  }

  /** The same as {@link #write}, also for a schedule without a configuration. */
  static String describe(AdafactorConfig config, LearningRateSchedule current, boolean jitCompile) {
    ObjectNode json = arguments(config, jitCompile);
    if (current instanceof AdafactorConfig.Constant || current instanceof ConfigurableSchedule) {
      json.set("learning_rate", learningRate(current));
    } else {
      json.put("learning_rate", current.toString());
    }
    return text(json);
  }

  private static void put(ObjectNode json, String key, OptionalDouble value) {
    if (value.isPresent()) {
      json.put(key, value.getAsDouble());
    } else {
      json.putNull(key);
    }
  }

  private static JsonNode learningRate(LearningRateSchedule learningRate) {
    if (learningRate instanceof AdafactorConfig.Constant constant) {
      return MAPPER.getNodeFactory().numberNode((double) constant.value());
    }
    if (learningRate instanceof ConfigurableSchedule schedule) {
      ObjectNode json = MAPPER.createObjectNode();
      json.put("module", "keras.optimizers.schedules");
      json.put("class_name", schedule.className());
      json.set("config", MAPPER.valueToTree(schedule.config()));
      json.putNull("registered_name");
      return json;
    }
    throw new IllegalStateException(
        "the learning rate schedule "
            + learningRate.getClass().getName()
            + " has no configuration: implement ConfigurableSchedule to write it as JSON");
  }

  /**
   * Reads {@code get_config()} or {@code serialize()} into a builder.
   *
   * @throws IllegalArgumentException if the text is no such JSON, or an argument is unknown,
   *     deprecated, of the wrong type or impossible
   */
  static void read(String text, Adafactor.Builder builder) {
    JsonNode root;
    try {
      root = MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "the configuration is not JSON: " + e.getOriginalMessage(), e);
    }
    if (root.isMissingNode()) {
      throw new IllegalArgumentException("the configuration is not JSON: it is empty");
    }
    if (!(root instanceof ObjectNode)) {
      throw new IllegalArgumentException(
          "the configuration must be a JSON object, as get_config() or serialize() gives it."
              + " Received: "
              + root);
    }
    if (root.has("class_name")) {
      ConfigReader serialized = new ConfigReader("configuration", (ObjectNode) root);
      String className = serialized.string("class_name", null);
      if (!"Adafactor".equals(className)) {
        throw new IllegalArgumentException(
            "the configuration is of a '" + className + "'; `class_name` must be Adafactor");
      }
      root = serialized.object("config");
    }
    readArguments(new ConfigReader("Adafactor", (ObjectNode) root), builder);
  }

  private static void readArguments(ConfigReader config, Adafactor.Builder builder) {
    for (String key : config.keys()) {
      if (DEPRECATED.contains(key)) {
        throw new IllegalArgumentException(
            key
                + " is deprecated in the new TF-Keras optimizer, please check the docstring for"
                + " valid arguments, or use the legacy optimizer, e.g.,"
                + " tf.keras.optimizers.legacy.Adafactor.");
      }
    }
    config.ignore("is_legacy_optimizer");
    if (config.isTruthy("lr")) {
      LOG.log(
          Level.WARNING,
          "`lr` is deprecated in TF-Keras optimizer and ignored, please use `learning_rate`.");
    }
    if (config.isTruthy("mesh")) {
      throw new IllegalArgumentException("`mesh` cannot be given in a configuration");
    }
    JsonNode learningRate = config.take("learning_rate");
    if (learningRate != null) {
      if (learningRate instanceof ObjectNode schedule) {
        builder.learningRate(schedule(schedule));
      } else {
        builder.learningRate(
            config.toNumber("learning_rate", "a number or a serialized schedule", learningRate));
      }
    }
    config.ifNumber("beta_2_decay", builder::beta2Decay);
    config.ifNumber("epsilon_1", builder::epsilon1);
    config.ifNumber("epsilon_2", builder::epsilon2);
    config.ifNumber("clip_threshold", builder::clipThreshold);
    config.ifBoolean("relative_step", builder::relativeStep);
    config.ifOptionalNumber("weight_decay", builder::weightDecay);
    config.ifOptionalNumber("clipnorm", builder::clipnorm);
    config.ifOptionalNumber("clipvalue", builder::clipvalue);
    config.ifOptionalNumber("global_clipnorm", builder::globalClipnorm);
    config.ifOptionalNumber("ema_momentum", builder::emaMomentum);
    config.ifOptionalInteger("ema_overwrite_frequency", builder::emaOverwriteFrequency);
    config.ifBoolean("use_ema", builder::useEma);
    config.ifBoolean("jit_compile", builder::jitCompile);
    if (config.has("name")) {
      builder.name(config.string("name", null));
    }
    config.requireNothingLeft(
        key ->
            key
                + " is not a valid argument, kwargs should be empty  for"
                + " `optimizer_experimental.Optimizer`.");
  }

  private static LearningRateSchedule schedule(ObjectNode json) {
    ConfigReader serialized = new ConfigReader("learning_rate", json);
    String className = serialized.string("class_name", null);
    if (className == null) {
      throw new IllegalArgumentException(
          "`learning_rate` must be a number or a serialized schedule with a `class_name`."
              + " Received: "
              + json);
    }
    ConfigReader config = new ConfigReader(className, serialized.object("config"));
    LearningRateSchedule schedule =
        switch (className) {
          case "ExponentialDecay" ->
              new ExponentialDecay(
                  config.number("initial_learning_rate"),
                  config.number("decay_steps"),
                  config.number("decay_rate"),
                  config.bool("staircase", false),
                  config.string("name", null));
          case "InverseTimeDecay" ->
              new InverseTimeDecay(
                  config.number("initial_learning_rate"),
                  config.number("decay_steps"),
                  config.number("decay_rate"),
                  config.bool("staircase", false),
                  config.string("name", null));
          case "PolynomialDecay" ->
              new PolynomialDecay(
                  config.number("initial_learning_rate"),
                  config.number("decay_steps"),
                  config.number("end_learning_rate", 0.0001),
                  config.number("power", 1.0),
                  config.bool("cycle", false),
                  config.string("name", null));
          case "PiecewiseConstantDecay" ->
              new PiecewiseConstantDecay(
                  config.numbers("boundaries"),
                  config.numbers("values"),
                  config.string("name", null));
          case "CosineDecay" ->
              new CosineDecay(
                  config.number("initial_learning_rate"),
                  config.number("decay_steps"),
                  config.number("alpha", 0.0),
                  config.string("name", null),
                  config.numberOrNull("warmup_target"),
                  config.number("warmup_steps", 0.0));
          case "CosineDecayRestarts" ->
              new CosineDecayRestarts(
                  config.number("initial_learning_rate"),
                  config.number("first_decay_steps"),
                  config.number("t_mul", 2.0),
                  config.number("m_mul", 1.0),
                  config.number("alpha", 0.0),
                  config.string("name", null));
          default ->
              throw new IllegalArgumentException(
                  "`learning_rate` is of the unknown schedule '"
                      + className
                      + "'; known are ExponentialDecay, InverseTimeDecay, PolynomialDecay,"
                      + " PiecewiseConstantDecay, CosineDecay and CosineDecayRestarts");
        };
    config.requireNothingLeft(key -> className + " has no argument `" + key + "`");
    return schedule;
  }
}
