package dev.adafactor.finetune;

import dev.adafactor.savedmodel.ModelVariable;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Which of a model's variables a job trains.
 *
 * @param trained in the model's order
 * @param frozen those that could be trained and are not
 */
record TrainedVariables(List<ModelVariable> trained, List<ModelVariable> frozen) {

  /**
   * Parts the variables.
   *
   * @param trainable all that can be trained
   * @param freeze a variable is frozen if one of these is found in its name
   * @throws IllegalArgumentException if one of these is found in no name, or nothing is left to
   *     train
   */
  static TrainedVariables of(List<ModelVariable> trainable, List<Pattern> freeze) {
    for (Pattern pattern : freeze) {
      if (trainable.stream().noneMatch(variable -> matches(pattern, variable))) {
        throw new IllegalArgumentException(
            "freeze: '%s' is found in the name of no variable; the trainable ones are %s"
                .formatted(pattern, names(trainable)));
      }
    }
    List<ModelVariable> trained = new ArrayList<>();
    List<ModelVariable> frozen = new ArrayList<>();
    for (ModelVariable variable : trainable) {
      boolean isFrozen = freeze.stream().anyMatch(pattern -> matches(pattern, variable));
      (isFrozen ? frozen : trained).add(variable);
    }
    if (trained.isEmpty()) {
      throw new IllegalArgumentException(
          frozen.isEmpty()
              ? "the model has no trainable variable"
              : "freeze: %s leaves nothing to train; it freezes %s"
                  .formatted(freeze, names(frozen)));
    }
    return new TrainedVariables(List.copyOf(trained), List.copyOf(frozen));
  }

  private static boolean matches(Pattern pattern, ModelVariable variable) {
    return pattern.matcher(variable.name()).find();
  }

  private static List<String> names(List<ModelVariable> variables) {
    return variables.stream().map(ModelVariable::name).toList();
  }
}
