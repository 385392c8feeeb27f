package dev.adafactor.schedules;

import java.util.Map;

/** A schedule that has a configuration, as tf_keras's {@code get_config()} gives it. */
public interface ConfigurableSchedule extends LearningRateSchedule {

  /** The name of the class in tf_keras. */
  default String className() {
    return getClass().getSimpleName();
  }

  /** The constructor's arguments by tf_keras's names: numbers, booleans, strings, lists, nulls. */
  Map<String, Object> config();
}
