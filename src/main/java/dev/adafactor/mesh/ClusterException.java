package dev.adafactor.mesh;

/**
 * A process of a cluster is gone, was started anew, or gives no answer. The sessions on that
 * cluster are of no more use: open another, initialize it, and put the last checkpoint back.
 */
public final class ClusterException extends RuntimeException {
  private static final long serialVersionUID = 1;

  ClusterException(String message, Throwable cause) {
    super(message, cause);
  }
}
