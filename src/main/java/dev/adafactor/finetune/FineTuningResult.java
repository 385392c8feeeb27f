package dev.adafactor.finetune;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a training job has come to.
 *
 * @param plan what was done
 * @param steps every step, in order
 * @param epochs every epoch that was done to its end, in order
 * @param before the model on the validation data before the first step; none without such data
 * @param after the same with the final variables; none, too, if the job was interrupted
 * @param bestEpoch the epoch, from 1, whose variables the model was given back; none without early
 *     stopping, or before the end of the first epoch
 * @param ending how training ended
 * @param timings how long the parts took
 * @param exported where the trained SavedModel is; none if it was not asked for
 */
public record FineTuningResult(
    TrainingListener.Plan plan,
    List<TrainingListener.Step> steps,
    List<TrainingListener.Epoch> epochs,
    Optional<Evaluation> before,
    Optional<Evaluation> after,
    OptionalInt bestEpoch,
    Ending ending,
    Timings timings,
    Optional<Path> exported) {

  /** How training ended. */
  public enum Ending {
    /** All epochs were done. */
    COMPLETED,

    /** The validation data did not improve any more. */
    STOPPED_EARLY,

    /** It was asked to stop. */
    INTERRUPTED
  }

  /**
   * How long the parts took.
   *
   * @param load checking the data and loading the model
   * @param build adding loss and optimizer to the graph
   * @param train all steps
   * @param evaluate the validation data, each time
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
