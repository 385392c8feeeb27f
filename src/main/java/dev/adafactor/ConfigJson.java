package dev.adafactor;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.files.PythonJson;
import dev.adafactor.schedules.ConfigReader;
import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.LearningRateSchedule;
import dev.adafactor.schedules.ScheduleRegistry;
import java.lang.System.Logger.Level;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;

/** Configurations as tf_keras's {@code get_config()} and {@code serialize()} give them. */
final class ConfigJson {

  private static final System.Logger LOG = System.getLogger(ConfigJson.class.getName());

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          // Python writes NaN and Infinity so.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  /** Arguments that tf_keras's {@code _process_kwargs} refuses. */
  private static final Set<String> DEPRECATED =
      Set.of("decay", "gradient_aggregator", "gradient_transformers");

  /** Under which tf_keras registered its class; in the legacy form it is the class's name. */
  private static final String REGISTERED_NAME = "Custom>Adafactor";

  private ConfigJson() {}

  /**
   * tf_keras's {@code get_config()}, as text.
   *
   * @param current the learning rate, which can have changed since the configuration
   */
  static String write(AdafactorConfig config, LearningRateSchedule current, boolean jitCompile) {
    return text(arguments(config, learningRate(current), jitCompile));
  }

  /** tf_keras's {@code serialize()}, as text. */
  static String serialize(
      AdafactorConfig config, LearningRateSchedule current, boolean jitCompile) {
    Map<String, Object> form = new LinkedHashMap<>();
    form.put("module", "keras.optimizers");
    form.put("class_name", "Adafactor");
    form.put("config", arguments(config, learningRate(current), jitCompile));
    form.put("registered_name", null);
    return text(form);
  }

  /** The same as {@link #write}, also for a schedule without a configuration. */
  static String describe(AdafactorConfig config, LearningRateSchedule current, boolean jitCompile) {
    boolean writable =
        current instanceof AdafactorConfig.Constant || current instanceof ConfigurableSchedule;
    return text(
        arguments(config, writable ? learningRate(current) : current.toString(), jitCompile));
  }

  private static String text(Map<String, Object> json) {
    try {
      return MAPPER.writeValueAsString(json);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(
          "the configuration of the learning rate schedule is no JSON: " + e.getOriginalMessage(),
          e);
    }
  }

  private static Map<String, Object> arguments(
      AdafactorConfig config, Object learningRate, boolean jitCompile) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", config.name());
    json.put("weight_decay", orNull(config.weightDecay()));
    json.put("clipnorm", orNull(config.clipnorm()));
    json.put("global_clipnorm", orNull(config.globalClipnorm()));
    json.put("clipvalue", orNull(config.clipvalue()));
    json.put("use_ema", config.useEma());
    json.put("ema_momentum", config.emaMomentum());
    json.put(
        "ema_overwrite_frequency",
        config.emaOverwriteFrequency().isPresent()
            ? config.emaOverwriteFrequency().getAsInt()
            : null);
    json.put("jit_compile", jitCompile);
    json.put("is_legacy_optimizer", false);
    json.put("learning_rate", learningRate);
    json.put("beta_2_decay", config.beta2Decay());
    json.put("epsilon_1", config.epsilon1());
    json.put("epsilon_2", config.epsilon2());
    json.put("clip_threshold", config.clipThreshold());
    json.put("relative_step", config.relativeStep());
    return json;
  }

  private static Double orNull(OptionalDouble value) {
    return value.isPresent() ? value.getAsDouble() : null;
  }

  private static Object learningRate(LearningRateSchedule learningRate) {
    if (learningRate instanceof AdafactorConfig.Constant constant) {
      return (double) constant.value();
    }
    if (learningRate instanceof ConfigurableSchedule schedule) {
      return schedule.serialized();
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
  static void read(String text, ScheduleRegistry schedules, Adafactor.Builder builder) {
    Map<String, Object> json = object(text);
    ConfigReader form = new ConfigReader("configuration", json, schedules);
    Map<String, Object> arguments = form.has("class_name") ? config(form) : json;
    readArguments(new ConfigReader("Adafactor", arguments, schedules), builder);
  }

  private static Map<String, Object> object(String text) {
    Object root;
    try {
      root = MAPPER.readValue(text, Object.class);
    } catch (JsonProcessingException e) {
      JsonLocation place = e.getLocation();
      throw new IllegalArgumentException(
          "the configuration is not JSON: "
              + PythonJson.reason(e)
              + (place == null
                  ? ""
                  : " (line %d, column %d)".formatted(place.getLineNr(), place.getColumnNr())),
          e);
    }
    if (!(root instanceof Map<?, ?> members)) {
      throw new IllegalArgumentException(
          "the configuration must be a JSON object, as get_config() or serialize() gives it."
              + " Received: "
              + text.strip().lines().findFirst().orElse(""));
    }
    Map<String, Object> object = new LinkedHashMap<>();
    members.forEach((key, value) -> object.put((String) key, value));
    return object;
  }

  /** The arguments within what {@code serialize()} gives. */
  private static Map<String, Object> config(ConfigReader form) {
    String className = form.string("class_name");
    boolean legacy = className.equals(REGISTERED_NAME);
    if (!legacy && !className.equals("Adafactor")) {
      throw form.wrong("class_name", "Adafactor");
    }
    String registeredName = form.stringOrNull("registered_name");
    if (registeredName != null && !registeredName.equals(REGISTERED_NAME)) {
      throw form.wrong("registered_name", "null or \"" + REGISTERED_NAME + "\"");
    }
    String module = form.stringOrNull("module");
    if (module != null && !module.startsWith("keras.") && !module.startsWith("tf_keras.")) {
      throw form.wrong("module", "\"keras.optimizers\"");
    }
    Map<String, Object> config = form.object("config");
    form.value("shared_object_id");
    form.requireNothingLeft();
    return config;
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
    Object learningRate = config.value("learning_rate");
    if (learningRate instanceof Map) {
      builder.learningRate(config.schedule("learning_rate"));
    } else if (learningRate instanceof String || learningRate instanceof Collection) {
      throw config.wrong("learning_rate", "a number or a serialized schedule");
    } else {
      ifThere(config, "learning_rate", builder::learningRate);
    }
    ifThere(config, "beta_2_decay", builder::beta2Decay);
    ifThere(config, "epsilon_1", builder::epsilon1);
    ifThere(config, "epsilon_2", builder::epsilon2);
    ifThere(config, "clip_threshold", builder::clipThreshold);
    ifTrueOrFalse(config, "relative_step", builder::relativeStep);
    ifNotNull(config, "weight_decay", builder::weightDecay);
    ifNotNull(config, "clipnorm", builder::clipnorm);
    ifNotNull(config, "clipvalue", builder::clipvalue);
    ifNotNull(config, "global_clipnorm", builder::globalClipnorm);
    ifTrueOrFalse(config, "use_ema", builder::useEma);
    if (config.bool("use_ema", false)) {
      ifThere(config, "ema_momentum", builder::emaMomentum);
    } else {
      ifNotNull(config, "ema_momentum", builder::emaMomentum);
    }
    config.integerOrNull("ema_overwrite_frequency").ifPresent(builder::emaOverwriteFrequency);
    ifTrueOrFalse(config, "jit_compile", builder::jitCompile);
    if (config.has("name")) {
      builder.name(config.stringOrNull("name"));
    }
    if (isTruthy(config.value("lr"))) {
      LOG.log(
          Level.WARNING,
          "`lr` is deprecated in TF-Keras optimizer and ignored, please use `learning_rate`.");
    }
    if (isTruthy(config.value("mesh"))) {
      throw new IllegalArgumentException("`mesh` cannot be given in a configuration");
    }
    config.value("is_legacy_optimizer");
    config.requireNothingLeft();
  }

  private static void ifThere(ConfigReader config, String key, DoubleConsumer setter) {
    if (config.has(key)) {
      setter.accept(config.number(key));
    }
  }

  private static void ifNotNull(ConfigReader config, String key, DoubleConsumer setter) {
    Double value = config.numberOrNull(key);
    if (value != null) {
      setter.accept(value);
    }
  }

  private static void ifTrueOrFalse(ConfigReader config, String key, Consumer<Boolean> setter) {
    if (config.has(key)) {
      setter.accept(config.bool(key));
    }
  }

  /** Whether a value counts as true in Python. */
  private static boolean isTruthy(Object value) {
    return value != null
        && !Boolean.FALSE.equals(value)
        && !(value instanceof Number number && number.doubleValue() == 0)
        && !(value instanceof String text && text.isEmpty())
        && !(value instanceof Collection<?> values && values.isEmpty())
        && !(value instanceof Map<?, ?> members && members.isEmpty());
  }
}
