package dev.adafactor.finetune;

import dev.adafactor.checkpoint.Restored;
import dev.adafactor.savedmodel.Mode;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;

/** Hears of a training job as it goes on. Called by the thread that trains, between two steps. */
public interface TrainingListener {

  /**
   * What is going to be done.
   *
   * @param mode how the model's functions are used
   * @param modeReason why, in a few words
   * @param examples examples of an epoch
   * @param epochs how many times each is seen
   * @param stepsPerEpoch batches of an epoch
   * @param trainableVariables how many variables are trained
   * @param unusedVariables how many would be, but have no part in the loss: they stay as they are
   * @param frozenVariables how many could be, and are not
   * @param stateSize what the optimizer keeps in memory for them
   */
  record Plan(
      Mode mode,
      String modeReason,
      int examples,
      int epochs,
      int stepsPerEpoch,
      int trainableVariables,
      int unusedVariables,
      int frozenVariables,
      StateSize stateSize) {}

  /**
   * A step that has been done.
   *
   * @param number of the step, from 1
   * @param epoch of the step, from 1
   * @param examples of its batch
   * @param loss of its batch, before the update
   * @param accuracy of its batch, before the update; none for a regression
   * @param learningRate that it was done with
   */
  record Step(
      long number,
      int epoch,
      int examples,
      double loss,
      OptionalDouble accuracy,
      double learningRate) {}

  /**
   * An epoch that has been done.
   *
   * @param number of the epoch, from 1
   * @param training the means over its steps, each taken before that step's update
   * @param validation the model on the validation data at the epoch's end, with the variables as
   *     they are then; none without such data. A training signature of the model's own measures it
   *     as it computes its loss, dropout included.
   */
  record Epoch(int number, Evaluation training, Optional<Evaluation> validation) {}

  /**
   * The data are being checked; called every few thousand rows.
   *
   * @param what which of them
   * @param row the row that comes next
   * @param rows how many there are
   */
  default void checking(String what, long row, long rows) {}

  /** Everything is checked and built; the first step comes next. */
  default void planned(Plan plan) {}

  /**
   * The job goes on from a checkpoint.
   *
   * @param checkpoint the prefix of its files
   * @param steps how many were done before
   */
  default void resumed(Path checkpoint, long steps) {}

  /**
   * The job was to go on from a checkpoint, and there is none yet: it begins with its first step.
   */
  default void begunAnew() {}

  /** Model and optimizer begin with a state that another job has left. */
  default void restored(Restored restored) {}

  /** The model has been evaluated on the validation data, before the first step. */
  default void evaluatedBefore(Evaluation evaluation) {}

  /** A step is done. */
  default void stepped(Step step) {}

  /** The update of the step that {@link #stepped} has just told of; where that is wanted. */
  default void reported(UpdateReport report) {}

  /** An epoch is done. */
  default void epochEnded(Epoch epoch) {}

  /**
   * The last step is done; the variables get their final values next.
   *
   * @param ending how training ended
   */
  default void trained(FineTuningResult.Ending ending) {}

  /**
   * The model has been evaluated on the validation data, with its final variables. Not called when
   * the job was interrupted.
   */
  default void evaluatedAfter(Evaluation evaluation) {}
}
