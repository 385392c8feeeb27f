package dev.adafactor.finetune;

/** The loss of a batch is NaN or infinite. */
final class NotFiniteBatchException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final double loss;

  /**
   * Describes it.
   *
   * @param reason where it comes from, as far as can be told
   */
  NotFiniteBatchException(double loss, String reason, Throwable cause) {
    super(reason, cause);
    this.loss = loss;
  }

  double loss() {
    return loss;
  }
}
