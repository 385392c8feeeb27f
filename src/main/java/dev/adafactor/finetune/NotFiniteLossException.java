package dev.adafactor.finetune;

import java.util.Arrays;

/** Training has run into a loss that is NaN or infinite; going on would not mend it. */
public final class NotFiniteLossException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int ROWS_SHOWN = 8;

  private final long step;

  NotFiniteLossException(long step, int epoch, double loss, int[] rows) {
    super(
        ("the loss is %s in step %d (epoch %d), on the rows %s%s: a smaller learning rate or"
                + " clipnorm may help; nothing was exported")
            .formatted(
                loss,
                step,
                epoch,
                Arrays.toString(Arrays.copyOf(rows, Math.min(rows.length, ROWS_SHOWN))),
                rows.length > ROWS_SHOWN
                    ? " and %d more".formatted(rows.length - ROWS_SHOWN)
                    : ""));
    this.step = step;
  }

  /** The number of the step, from 1. */
  public long step() {
    return step;
  }
}
