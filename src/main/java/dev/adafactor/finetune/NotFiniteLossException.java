package dev.adafactor.finetune;

import dev.adafactor.Numerics;
import dev.adafactor.files.FirstFew;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Training has run into a loss, or at its end into a variable, that is NaN or infinite; going on
 * would not mend it.
 */
public final class NotFiniteLossException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int ROWS_SHOWN = 8;

  private final long step;

  /**
   * What else there is to say.
   *
   * @param numerics how the update is computed
   * @param checkpoint the last one that is good
   */
  record Circumstances(Numerics numerics, Optional<String> checkpoint) {}

  private NotFiniteLossException(long step, String what, Circumstances circumstances) {
    super(
        "%s; %s; nothing was exported%s"
            .formatted(
                what,
                advice(circumstances.numerics()),
                circumstances
                    .checkpoint()
                    .map(", the last good checkpoint is '%s'"::formatted)
                    .orElse("")));
    this.step = step;
  }

  /** The loss of a step's batch, before its update. */
  static NotFiniteLossException in(
      long step, int epoch, int[] rows, NotFiniteBatchException batch, Circumstances used) {
    NotFiniteLossException exception =
        new NotFiniteLossException(
            step,
            "the loss is %s in step %d (epoch %d), on %s: %s"
                .formatted(batch.loss(), step, epoch, list(rows), batch.getMessage()),
            used);
    exception.initCause(batch);
    return exception;
  }

  /** The loss of the last step's batch, after its update. */
  static NotFiniteLossException after(long step, double loss, int[] rows, Circumstances used) {
    return new NotFiniteLossException(
        step,
        "the loss is %s after the last step, %d, on %s".formatted(loss, step, list(rows)),
        used);
  }

  /** Variables, after the last step. */
  static NotFiniteLossException after(long step, List<String> variables, Circumstances used) {
    return new NotFiniteLossException(
        step,
        "after the last step, %d, not finite are the variables %s"
            .formatted(step, TrainingGraph.shortened(variables)),
        used);
  }

  private static String list(int[] rows) {
    return "the rows " + FirstFew.of(Arrays.stream(rows).boxed().toList(), ROWS_SHOWN).asList();
  }

  private static String advice(Numerics used) {
    return switch (used) {
      case TF_KERAS ->
          "tf_keras's own operations can make NaN where the mathematics is finite; take the"
              + " numerics STABLE (--numerics stable)";
      case STABLE -> "a smaller learning rate or clipnorm may help";
    };
  }

  /** The number of the step, from 1. */
  public long step() {
    return step;
  }
}
