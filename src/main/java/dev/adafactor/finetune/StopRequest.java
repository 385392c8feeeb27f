package dev.adafactor.finetune;

/**
 * Asks a running job to come to its end: after the step that it is in, or before the first. For any
 * thread.
 */
public final class StopRequest {
  private volatile boolean stopped;

  /** One that nobody has made use of yet. */
  public StopRequest() {}

  /** Asks; there is no way back. */
  public void stop() {
    stopped = true;
  }

  /** Whether it was asked. */
  public boolean isStopped() {
    return stopped;
  }
}
