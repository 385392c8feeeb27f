package dev.adafactor.checkpoint;

import java.io.Closeable;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Keeps a folder of checkpoints for one job at a time, by a lock of the operating system on the
 * empty file {@code .lock} in it: a process that is killed gives it back. The file stays. Where a
 * file system has no locks, as some network file systems, nothing is kept from anybody.
 */
public final class FolderLock implements Closeable {
  private static final Logger LOG = System.getLogger(FolderLock.class.getName());
  private static final String FILE = ".lock";

  private FileChannel channel;

  /**
   * Takes the folder, which is made if it is not there, until the lock is closed.
   *
   * @throws IllegalArgumentException if another job has it
   * @throws IOException if the folder cannot be written to
   */
  public void acquire(Path folder) throws IOException {
    if (channel != null) {
      throw new IllegalStateException("the lock has a folder already");
    }
    Path file = folder.resolve(FILE);
    try {
      Files.createDirectories(folder);
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new IOException(
          "cannot write checkpoints to '%s': '%s' cannot be made".formatted(folder, file), e);
    }
    if (!isTaken(file)) {
      throw new IllegalArgumentException(
          "the folder '%s' of checkpoints is in use by another job; wait for its end, or name"
                  .formatted(folder)
              + " another folder");
    }
  }

  private boolean isTaken(Path file) {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false; // Another job of this process has it.
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
    if (channel != null) {
      channel.close();
    }
  }
}
