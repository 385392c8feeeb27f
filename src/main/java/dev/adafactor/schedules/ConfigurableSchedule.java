package dev.adafactor.schedules;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A schedule that has a configuration, as tf_keras's {@code get_config()} gives it. */
public interface ConfigurableSchedule extends LearningRateSchedule {

  /**
   * The name under which Python registered the class of the same schedule: {@code "Package>Name"}
   * for one with {@code @register_keras_serializable("Package", "Name")}. By default the name of
   * this class.
   */
  default String registeredName() {
    return getClass().getSimpleName();
  }

  /**
   * The constructor's arguments by tf_keras's names: numbers, booleans, strings, nulls, schedules
   * that have configurations, lists and maps of these.
   */
  Map<String, Object> config();

  /** What tf_keras's {@code serialize} gives, with the schedules in it serialized, too. */
  default Map<String, Object> serialized() {
    String name = registeredName();
    Map<String, Object> form = new LinkedHashMap<>();
    form.put("module", null); // Python finds a registered class by its name alone.
    form.put("class_name", name.substring(name.lastIndexOf('>') + 1));
    form.put("config", serialized(config()));
    form.put("registered_name", name);
    return form;
  }

  private static Object serialized(Object value) {
    if (value instanceof ConfigurableSchedule schedule) {
      return schedule.serialized();
    }
    if (value instanceof List<?> values) {
      return values.stream().map(ConfigurableSchedule::serialized).toList();
    }
    if (value instanceof Map<?, ?> members) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      members.forEach((key, member) -> copy.put(key, serialized(member)));
      return copy;
    }
    return value;
  }
}
