package dev.adafactor.schedules;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Function;

/**
 * The schedules that configurations may name. Immutable.
 *
 * <pre>{@code
 * ScheduleRegistry schedules =
 *     ScheduleRegistry.standard()
 *         .with("my_package>Noam", config -> new Noam(config.number("base"), config.number("warmup")));
 * Adafactor.fromConfig(graph, json, schedules)
 * }</pre>
 */
public final class ScheduleRegistry {

  private static final ScheduleRegistry STANDARD =
      new ScheduleRegistry(Map.of())
          .with("ExponentialDecay", ExponentialDecay::of)
          .with("InverseTimeDecay", InverseTimeDecay::of)
          .with("PolynomialDecay", PolynomialDecay::of)
          .with("PiecewiseConstantDecay", PiecewiseConstantDecay::of)
          .with("CosineDecay", CosineDecay::of)
          .with("CosineDecayRestarts", CosineDecayRestarts::of);

  private final Map<String, Function<ConfigReader, ? extends LearningRateSchedule>> factories;

  private ScheduleRegistry(
      Map<String, Function<ConfigReader, ? extends LearningRateSchedule>> factories) {
    this.factories = Collections.unmodifiableMap(new LinkedHashMap<>(factories));
  }

  /** The six schedules of {@code tf_keras.optimizers.schedules}. */
  public static ScheduleRegistry standard() {
    return STANDARD;
  }

  /**
   * Those of {@link #standard}, and those of every {@link ScheduleProvider} that the class loader
   * of this library finds.
   *
   * @throws IllegalArgumentException if two have the same name
   * @throws java.util.ServiceConfigurationError if a provider cannot be loaded
   */
  public static ScheduleRegistry installed() {
    ScheduleRegistry registry = standard();
    for (ScheduleProvider provider :
        ServiceLoader.load(ScheduleProvider.class, ScheduleRegistry.class.getClassLoader())) {
      registry = registry.with(provider.registeredName(), provider::create);
    }
    return registry;
  }

  /** The names under which Python knows the schedules. */
  public Set<String> names() {
    return factories.keySet();
  }

  /**
   * The name of a serialized schedule that is none of these.
   *
   * @param serialized the form that {@link #read} takes
   * @return empty if it is one of these, or has no name
   */
  public Optional<String> unknown(Map<?, ?> serialized) {
    Object registeredName = serialized.get("registered_name");
    Object name = registeredName == null ? serialized.get("class_name") : registeredName;
    return Optional.ofNullable(name)
        .map(Object::toString)
        .filter(unknown -> !factories.containsKey(unknown));
  }

  /**
   * These schedules and one more.
   *
   * @param registeredName the name under which Python registered the class: {@code "Package>Name"}
   *     for one with {@code @register_keras_serializable("Package", "Name")}, the name of the class
   *     for one without
   * @param factory makes the schedule from what the class's {@code get_config()} gives; arguments
   *     that it does not ask for are refused
   * @throws IllegalArgumentException if there is a schedule of this name
   */
  public ScheduleRegistry with(
      String registeredName, Function<ConfigReader, ? extends LearningRateSchedule> factory) {
    Objects.requireNonNull(factory, "factory");
    Map<String, Function<ConfigReader, ? extends LearningRateSchedule>> more =
        new LinkedHashMap<>(factories);
    if (more.put(Objects.requireNonNull(registeredName, "registeredName"), factory) != null) {
      throw new IllegalArgumentException(
          "there is a schedule '" + registeredName + "' already; a name stands for one schedule");
    }
    return new ScheduleRegistry(more);
  }

  /**
   * Makes a schedule of its serialized form, {@code {"module": …, "class_name": …, "config": …,
   * "registered_name": …}}; only the class and the configuration are required.
   *
   * @param what what the schedule is for, for messages
   * @throws IllegalArgumentException if the schedule is not known, or an argument is unknown,
   *     missing, of the wrong type or impossible
   */
  public LearningRateSchedule read(String what, Map<String, ?> serialized) {
    ConfigReader form = new ConfigReader(what, serialized, this);
    if (!form.has("class_name")) {
      throw new IllegalArgumentException(
          what
              + " must be a number or a serialized schedule with a `class_name` and a `config`."
              + " Received: "
              + ConfigReader.json(serialized));
    }
    String className = form.string("class_name");
    Map<String, Object> config = form.object("config");
    String registeredName = form.stringOrNull("registered_name");
    String name = registeredName == null ? className : registeredName;
    Function<ConfigReader, ? extends LearningRateSchedule> factory = factories.get(name);
    if (factory == null) {
      throw new IllegalArgumentException(
          what
              + " is of the unknown schedule '"
              + name
              + "'; known are "
              + String.join(", ", factories.keySet())
              + ". A ScheduleRegistry, or for the program a ScheduleProvider, brings one of your"
              + " own");
    }
    if (STANDARD.factories.containsKey(name)) {
      requireTfKeras(form);
    }
    form.value("module");
    form.value("shared_object_id");
    form.requireNothingLeft();
    ConfigReader arguments = new ConfigReader(name, config, this);
    LearningRateSchedule schedule =
        Objects.requireNonNull(factory.apply(arguments), () -> "the schedule '" + name + "'");
    arguments.requireNothingLeft();
    return schedule;
  }

  /** A class of the same name in a user's own module is another one. */
  private static void requireTfKeras(ConfigReader form) {
    if (form.has("module")
        && !(form.value("module") instanceof String module
            && (module.startsWith("keras.") || module.startsWith("tf_keras.")))) {
      throw form.wrong("module", "\"keras.optimizers.schedules\" for a schedule of tf_keras");
    }
  }
}
