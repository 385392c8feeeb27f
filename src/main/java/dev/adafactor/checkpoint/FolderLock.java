package dev.adafactor.checkpoint;

import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Keeps a folder of checkpoints for one job at a time, by a lock of the operating system on the
 * empty file {@code .lock} in it: a process that is killed gives it back. The file stays. Where a
 * file system has no locks, as some network file systems, nothing is kept from anybody.
 */
public final class FolderLock implements Closeable {
  private static final Logger LOG = System.getLogger(FolderLock.class.getName());
  private static final String FILE = ".lock";

  /**
   * What this process has. The system's locks do not tell its jobs apart, and all of a process's
   * locks on a file end when it closes the file the first time.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private Path held;
  private FileChannel channel;

  /** A lock on nothing yet. */
  public FolderLock() {}

  /**
   * Takes the folder, which is made if it is not there, until the lock is closed.
   *
   * @throws IllegalArgumentException if another job has it
   * @throws IOException if the folder cannot be written to
   */
  public void acquire(Path folder) throws IOException {
    if (held != null) {
      throw new IllegalStateException("the lock has a folder already");
    }
    Path file = folder.resolve(FILE);
    try {
      Files.createDirectories(folder);
      Path real = folder.toRealPath();
      if (!HELD.add(real)) {
        throw inUse(folder);
      }
      held = real;
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      close();
      throw new IOException(
          "cannot write checkpoints to '%s': '%s' cannot be made (%s)"
              .formatted(folder, file, e.getClass().getSimpleName()),
          e);
    }
    if (!tryTake(file)) {
      close();
      throw inUse(folder);
    }
  }

  private static IllegalArgumentException inUse(Path folder) {
    return new IllegalArgumentException(
        "the folder '%s' of checkpoints is in use by another job; wait for its end, or name"
                .formatted(folder)
            + " another folder");
  }

  private boolean tryTake(Path file) {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (IOException e) {
      LOG.log(
          Level.WARNING,
          "''{0}'' cannot be locked ({1}): see to it that no other job uses the folder",
          file,
          e.getMessage());
      return true;
    }
  }

  @Override
  public void close() throws IOException {
    try {
      if (channel != null) {
        channel.close();
      }
    } finally {
      channel = null;
      if (held != null) {
        HELD.remove(held);
      }
      held = null;
    }
  }
}
