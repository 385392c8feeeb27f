package dev.adafactor.finetune;

import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.checkpoint.TrainingState;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;

/** The checkpoints of a job: when they are written, and what is noted with them. */
final class Checkpoints {
  private static final Logger LOG = System.getLogger(Checkpoints.class.getName());

  /**
   * What a user asks for.
   *
   * @param folder where they are
   * @param every how many steps there are from one to the next; empty: one at the end of each epoch
   * @param kept how many are kept
   * @param resume whether the job goes on from the newest
   */
  record Wish(Path folder, OptionalInt every, int kept, boolean resume) {

    /**
     * Checks that there is nothing to be lost.
     *
     * @throws IllegalArgumentException if there are checkpoints that the job does not go on from
     */
    void requireUsable() throws IOException {
      if (!resume && !checkpoints().isEmpty()) {
        throw new IllegalArgumentException(
            "the folder '%s' holds checkpoints; resume from them (--resume), or name another folder"
                .formatted(folder));
      }
    }

    CheckpointFolder checkpoints() {
      return new CheckpointFolder(folder, kept);
    }
  }

  /** Where a job goes on. */
  record Resumed(Path checkpoint, Progress progress) {}

  private final Wish wish;
  private final TrainingState state;
  private final Map<String, String> job;
  private final CheckpointFolder folder;
  private long saved = -1;

  /** The state that was written last, or could not be written. */
  private long tried = -1;

  private Optional<IOException> failure = Optional.empty();

  /**
   * The checkpoints of a job.
   *
   * @param state what is written
   * @param job what the course of the job depends on
   */
  Checkpoints(Wish wish, TrainingState state, Map<String, String> job) {
    this.wish = wish;
    this.state = state;
    this.job = job;
    this.folder = wish.checkpoints();
  }

  /**
   * Puts back the newest checkpoint, where that is wished for.
   *
   * @param iterations tells the optimizer's steps: all that a checkpoint of Python's says about how
   *     far its job was
   * @param stepsPerEpoch how many of them make an epoch
   * @throws IllegalArgumentException if it is of another job
   */
  Optional<Resumed> resume(LongSupplier iterations, int stepsPerEpoch) throws IOException {
    if (!wish.resume()) {
      return Optional.empty();
    }
    AtomicReference<Progress> noted = new AtomicReference<>();
    Optional<Path> restored =
        folder.restoreNewest(
            state,
            (checkpoint, note) ->
                noted.set(note.map(text -> read(checkpoint, text, stepsPerEpoch)).orElse(null)));
    return restored.map(
        checkpoint -> {
          Progress progress = progress(checkpoint, noted.get(), iterations, stepsPerEpoch);
          saved = progress.steps();
          tried = saved;
          return new Resumed(checkpoint, progress);
        });
  }

  private static Progress progress(
      Path checkpoint, Progress noted, LongSupplier iterations, int stepsPerEpoch) {
    long done = iterations.getAsLong();
    if (noted == null ? !Progress.isPossible(done, stepsPerEpoch) : noted.steps() != done) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' is damaged: its optimizer has done %d steps%s"
              .formatted(
                  checkpoint,
                  done,
                  noted == null ? "" : ", %d are noted".formatted(noted.steps())));
    }
    return noted == null ? Progress.ofSteps(done, stepsPerEpoch) : noted;
  }

  private Progress read(Path checkpoint, String note, int stepsPerEpoch) {
    try {
      return Progress.fromJson(note, job, stepsPerEpoch);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' %s".formatted(checkpoint, e.getMessage()), e);
    }
  }

  /** Whether a checkpoint is due after a step. */
  boolean isDue(long steps, boolean endsEpoch) {
    return wish.every().isPresent() ? steps % wish.every().getAsInt() == 0 : endsEpoch;
  }

  /**
   * Writes a checkpoint, unless that of this state was the last. Where it fails, as on a full disk,
   * the job goes on: what it computes is worth more than that it can be resumed.
   */
  void save(Progress progress) {
    if (progress.steps() == tried) {
      return;
    }
    tried = progress.steps();
    try {
      folder.save(state, progress.steps(), progress.toJson(job));
      saved = progress.steps();
      failure = Optional.empty();
    } catch (IOException e) {
      failure = Optional.of(e);
      LOG.log(Level.WARNING, "{0}; the job goes on without", e.getMessage());
    }
  }

  /** Why the last checkpoint could not be written. */
  Optional<IOException> failure() {
    return failure;
  }

  /** The newest checkpoint, for messages. */
  Optional<String> newest() {
    return saved < 0
        ? Optional.empty()
        : Optional.of(wish.folder().resolve("ckpt-" + saved).toString());
  }
}
