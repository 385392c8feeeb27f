package dev.adafactor.finetune;

import java.util.Locale;

/**
 * Ends training when the validation data say that it has stopped to help, as Keras's callback of
 * this name: after every epoch the model is evaluated, and {@code patience} epochs in a row without
 * an improvement end the job. Then, or when all epochs are done, or when the job is interrupted,
 * the model gets the variables back that it had at the end of the best epoch, those that are not
 * trained included; the moving averages too, where they are in use.
 *
 * @param patience epochs without an improvement that end training, 0 or more
 * @param monitor what improves
 * @param minDelta by how much it must, at least, to be an improvement; 0 or more
 */
public record EarlyStopping(int patience, Monitor monitor, double minDelta) {

  /** What improves. */
  public enum Monitor {
    /** The loss on the validation data: falls. */
    LOSS,

    /** The share of right answers on the validation data: rises. */
    ACCURACY;

    /** The name in small letters. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Checks the numbers.
   *
   * @throws IllegalArgumentException if one is negative or no number
   */
  public EarlyStopping {
    if (patience < 0) {
      throw new IllegalArgumentException(
          "patience of early stopping is %d; 0 or more epochs are wanted".formatted(patience));
    }
    if (!(minDelta >= 0) || Double.isInfinite(minDelta)) {
      throw new IllegalArgumentException(
          "least improvement of early stopping is %s; a finite number from 0 is wanted"
              .formatted(minDelta));
    }
  }

  /** On the loss, any improvement. */
  public static EarlyStopping patience(int epochs) {
    return new EarlyStopping(epochs, Monitor.LOSS, 0);
  }

  /** The same, on something else. */
  public EarlyStopping on(Monitor other) {
    return new EarlyStopping(patience, other, minDelta);
  }

  /** The same with another least improvement. */
  public EarlyStopping improvingBy(double least) {
    return new EarlyStopping(patience, monitor, least);
  }
}
