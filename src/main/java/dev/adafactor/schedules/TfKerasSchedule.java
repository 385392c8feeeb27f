package dev.adafactor.schedules;

import java.util.LinkedHashMap;
import java.util.Map;

/** A schedule of {@code tf_keras.optimizers.schedules}, under the name of its class there. */
interface TfKerasSchedule extends ConfigurableSchedule {

  @Override
  default Map<String, Object> serialized() {
    Map<String, Object> form = new LinkedHashMap<>();
    form.put("module", "keras.optimizers.schedules");
    form.put("class_name", registeredName());
    form.put("config", config());
    form.put("registered_name", null);
    return form;
  }
}
