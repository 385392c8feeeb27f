package dev.adafactor.finetune;

import dev.adafactor.checkpoint.CheckpointFolder;
import dev.adafactor.checkpoint.Content;
import dev.adafactor.checkpoint.Restored;
import dev.adafactor.checkpoint.TrainingState;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;

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

  /** Whether the job is to go on from the newest. */
  boolean isToResume() {
    return wish.resume();
  }

  /**
   * Puts back the newest checkpoint that is whole, where that is wished for. One whose note
   * contradicts itself, or the optimizer's steps, is damaged like any other.
   *
   * @param stepsPerEpoch how many of them make an epoch
   * @param epochs how many the job is to have
   * @throws IllegalArgumentException if it is of another job, or of one that has done more
   */
  Optional<Resumed> resume(int stepsPerEpoch, int epochs) throws IOException {
    if (!isToResume()) {
      return Optional.empty();
    }
    AtomicReference<Progress> progress = new AtomicReference<>();
    Optional<Restored> restored =
        folder.resume(
            state,
            content -> {
              progress.set(progress(content, stepsPerEpoch));
              requireWithin(epochs, stepsPerEpoch, progress.get().steps(), content.files());
            });
    restored.ifPresent(
        whole -> {
          saved = progress.get().steps();
          tried = saved;
        });
    return restored.map(whole -> new Resumed(whole.checkpoint(), progress.get()));
  }

  /** What is done cannot be taken back. */
  private static void requireWithin(int epochs, int stepsPerEpoch, long done, Path checkpoint) {
    if (done > (long) epochs * stepsPerEpoch) {
      throw new IllegalArgumentException(
          ("epochs is %d, and the checkpoint '%s' is in epoch %d already (%d steps of %d each);"
                  + " give %3$d or more, or another folder of checkpoints")
              .formatted(epochs, checkpoint, (done - 1) / stepsPerEpoch + 1, done, stepsPerEpoch));
    }
  }

  /**
   * The optimizer's steps are all that a checkpoint of Python's says of how far its job was. Those
   * that it had done before the job are in the last note of Java's; where none is left in the
   * folder, all of them are taken as the job's.
   */
  private Progress progress(Content content, int stepsPerEpoch) throws IOException {
    long done = content.iterations().orElse(0);
    if (content.note().isEmpty()) {
      if (!Progress.isPossible(done, stepsPerEpoch)) {
        throw new IOException(
            "'%s' is damaged: its optimizer has done %d steps".formatted(content.files(), done));
      }
      Optional<String> last = folder.noteBefore(content.files());
      long before = last.isPresent() ? noted(content, last.get(), stepsPerEpoch).before() : 0;
      if (before > done) {
        throw new IOException(
            "'%s' is damaged: its optimizer has done %d steps, the job began after %d"
                .formatted(content.files(), done, before));
      }
      return Progress.ofSteps(before, done - before, stepsPerEpoch);
    }
    Progress noted = noted(content, content.note().get(), stepsPerEpoch);
    if (noted.before() + noted.steps() != done) {
      throw new IOException(
          "'%s' is damaged: its optimizer has done %d steps, %d are noted"
              .formatted(content.files(), done, noted.before() + noted.steps()));
    }
    return noted;
  }

  private Progress noted(Content content, String note, int stepsPerEpoch) throws IOException {
    try {
      return Progress.fromJson(note, job, stepsPerEpoch);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' %s".formatted(content.files(), e.getMessage()), e);
    } catch (IOException e) {
      throw new IOException("'%s' %s".formatted(content.files(), e.getMessage()), e);
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
