package dev.adafactor.parity;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Optional;

/**
 * One run of an optimizer: its settings, what goes into each step, and what tf_keras made of it.
 *
 * @param id names the case within its file
 * @param tags free words
 * @param settings the arguments of Adafactor's constructor; not to be changed
 * @param exclusion from weight decay
 * @param variables what is optimized
 * @param initialIterations what the step counter holds before the first step
 * @param steps at least one
 * @param recorded what tf_keras computed; empty if the file gives the inputs alone
 */
public record Case(
    String id,
    List<String> tags,
    ObjectNode settings,
    Exclusion exclusion,
    List<CaseVariable> variables,
    long initialIterations,
    List<Step> steps,
    Optional<Trajectory> recorded) {
  /** Keeps copies of the lists. */
  public Case {
    tags = List.copyOf(tags);
    variables = List.copyOf(variables);
    steps = List.copyOf(steps);
  }

  /** Whether moving averages of the variables are kept. */
  boolean usesEma() {
    return settings.path("use_ema").asBoolean(false);
  }
}
