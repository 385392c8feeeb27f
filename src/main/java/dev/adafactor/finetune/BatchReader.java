package dev.adafactor.finetune;

import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Gathers batches one after the other, each while the one before it is being used. Not for several
 * threads.
 */
final class BatchReader implements AutoCloseable {
  private final Examples examples;
  private final Iterator<int[]> rows;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread daemon = new Thread(task, "batches");
            daemon.setDaemon(true);
            return daemon;
          });
  private CompletableFuture<Examples.Batch> ahead;

  /**
   * Starts to gather the first batch.
   *
   * @param rows of each batch, in order; at least one
   */
  BatchReader(Examples examples, Iterator<int[]> rows) {
    this.examples = examples;
    this.rows = rows;
    this.ahead = gather();
  }

  private CompletableFuture<Examples.Batch> gather() {
    int[] batch = rows.next();
    return CompletableFuture.supplyAsync(() -> examples.batch(batch), thread);
  }

  /** The next batch; to be closed by the caller. */
  Examples.Batch next() {
    CompletableFuture<Examples.Batch> current = ahead;
    ahead = rows.hasNext() ? gather() : CompletableFuture.failedFuture(new IllegalStateException());
    try {
      return current.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
  }

  /** Gives back what was gathered and not taken. */
  @Override
  public void close() {
    CompletableFuture<Void> unused = ahead.thenAccept(Examples.Batch::close);
    thread.shutdown();
  }
}
