package dev.adafactor.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a checkpoint says of the job that wrote it.
 *
 * @param files the prefix of its files
 * @param note the job's note; empty in a checkpoint of Python's
 * @param iterations the optimizer's steps; empty if there is no optimizer in it
 */
public record Content(Path files, Optional<String> note, OptionalLong iterations) {

  /** Says whether a checkpoint is to be put back, before anything is changed. */
  public interface Judge {
    /** Takes any. */
    Judge TAKES_ALL = content -> {};

    /**
     * Judges a checkpoint.
     *
     * @throws IOException if it contradicts itself, and so is damaged: one before it may do
     * @throws IllegalArgumentException if it is of another job
     */
    void accept(Content content) throws IOException;
  }
}
