package dev.adafactor.finetune;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What a training job has come to.
 *
 * @param plan what was done
 * @param steps every step, in order
 * @param before the model on the validation data before the first step; none without such data
 * @param after the same after the last step
 * @param timings how long the parts took
 * @param exported where the trained SavedModel is; none if it was not asked for
 */
public record FineTuningResult(
    TrainingListener.Plan plan,
    List<TrainingListener.Step> steps,
    Optional<Evaluation> before,
    Optional<Evaluation> after,
    Timings timings,
    Optional<Path> exported) {

  /**
   * How long the parts took.
   *
   * @param load checking the data and loading the model
   * @param build adding loss and optimizer to the graph
   * @param train all steps
   * @param evaluate the validation data, before and after
   * @param export writing the SavedModel
   */
  public record Timings(
      Duration load, Duration build, Duration train, Duration evaluate, Duration export) {}

  /** Examples trained on in a second, over all steps. */
  public double examplesPerSecond() {
    long examples = steps.stream().mapToLong(TrainingListener.Step::examples).sum();
    return examples / (timings.train().toNanos() / 1e9);
  }
}
