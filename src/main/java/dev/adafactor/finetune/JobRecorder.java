package dev.adafactor.finetune;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.checkpoint.TrainingState;
import dev.adafactor.files.FirstFew;
import dev.adafactor.files.PythonJson;
import dev.adafactor.files.Writing;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.savedmodel.ModelTowers;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Writes down a job while it is done, so that Python can do the same one.
 *
 * <p>{@code job.json} comes first, so that Python can look whether it can, and once more, with what
 * came of the job, last.
 */
final class JobRecorder implements TrainingListener {
  private static final int MOST_SNAPSHOTS = 20;
  private static final int NAMES_SHOWN = 3;

  /**
   * What a user asks for.
   *
   * @param folder exists, and is empty
   * @param bytes what the states may take together
   */
  record Wish(Path folder, long bytes) {}

  private final Wish wish;
  private final TrainingState state;
  private final BatchOrder order;
  private final ObjectNode description;
  private final List<Step> steps = new ArrayList<>();
  private final SortedSet<Long> written = new TreeSet<>();
  private SortedSet<Long> planned = new TreeSet<>();
  private List<int[]> epoch = List.of();
  private int epochNumber;
  private Optional<Ending> ending = Optional.empty();
  private Optional<IOException> failure = Optional.empty();

  /**
   * A recorder of one run.
   *
   * @param order the rows of each step
   * @param description of the job, to which is added what comes of it
   */
  JobRecorder(Wish wish, TrainingState state, BatchOrder order, ObjectNode description) {
    this.wish = wish;
    this.state = state;
    this.order = order;
    this.description = description;
  }

  /**
   * Checks that Python can do the same.
   *
   * @throws IllegalArgumentException if the model draws random numbers, or follows its batches in
   *     parts, or adds losses of them
   */
  static void requireRecordable(TrainableModel model, ModelTowers towers) {
    List<String> drawing = model.randomOperations();
    if (!drawing.isEmpty()) {
      throw new IllegalArgumentException(
          ("the job draws random numbers (%s), and Python would draw others: compare it in mode"
                  + " inference (--mode inference), or a model whose rates of dropout are 0")
              .formatted(FirstFew.of(drawing, NAMES_SHOWN).asNames()));
    }
    List<String> averaged = towers.averaged().stream().map(ModelVariable::name).toList();
    if (!averaged.isEmpty()) {
      throw new IllegalArgumentException(
          ("the devices of the mesh take statistics of their parts of a batch (%s), and Python would"
                  + " take those of the whole: compare it in mode inference (--mode inference), or"
                  + " without the mesh dimension %s")
              .formatted(FirstFew.of(averaged, NAMES_SHOWN).asNames(), BatchDivision.DIMENSION));
    }
    if (towers.towers().size() > 1 && model.hasLossesOfBatch()) {
      throw new IllegalArgumentException(
          ("the model adds losses of its own (add_loss), which each device of the mesh takes of its"
                  + " part of a batch, and Python would take of the whole: where they are sums they"
                  + " differ; compare it without the mesh dimension %s")
              .formatted(BatchDivision.DIMENSION));
    }
  }

  /** What the job computes is worth more than its recording. */
  private void write(Writing writing) {
    if (failure.isPresent()) {
      return;
    }
    try {
      writing.run();
    } catch (IOException e) {
      failure =
          Optional.of(new IOException("cannot record the job to compare it: " + e.getMessage(), e));
    }
  }

  /**
   * Writes what the job is, of which no step is done.
   *
   * @throws IOException if it cannot be written
   */
  void describe() throws IOException {
    for (String name : List.of("steps", "snapshots", "losses")) {
      description.putArray(name);
    }
    description.putNull("ending");
    writeDescription();
  }

  private void writeDescription() throws IOException {
    Files.write(
        wish.folder().resolve("job.json"), PythonJson.MAPPER.writeValueAsBytes(description));
  }

  /**
   * Writes the state before the first step.
   *
   * @param total how many steps there will be, at most
   */
  void begin(long total) {
    write(
        () -> {
          save("start", 0);
          long size = Math.max(1, bytes());
          long count = Math.min(MOST_SNAPSHOTS, wish.bytes() / size - 1);
          planned = SnapshotSteps.of(total, (int) Math.max(1, count));
        });
  }

  private long bytes() throws IOException {
    try (Stream<Path> files = Files.list(wish.folder())) {
      long sum = 0;
      for (Path file : files.toList()) {
        sum += Files.size(file);
      }
      return sum;
    }
  }

  private void save(String name, long number) throws IOException {
    state.save(wish.folder().resolve(name), "", number);
  }

  @Override
  public void stepped(Step step) {
    steps.add(step);
    write(
        () -> {
          writeRows(step);
          if (planned.contains(step.number())) {
            saveStep(step.number());
          }
        });
  }

  private void writeRows(Step step) throws IOException {
    if (step.epoch() != epochNumber) {
      epochNumber = step.epoch();
      epoch = order.epoch(epochNumber - 1);
    }
    int[] rows = epoch.get((int) ((step.number() - 1) % epoch.size()));
    ByteBuffer buffer =
        ByteBuffer.allocate(rows.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    buffer.asIntBuffer().put(rows);
    Files.write(
        wish.folder().resolve("rows.int32"),
        buffer.array(),
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  private void saveStep(long step) throws IOException {
    save("step-" + step, step);
    written.add(step);
  }

  @Override
  public void trained(Ending how) {
    ending = Optional.of(how);
    write(
        () -> {
          if (!steps.isEmpty() && !written.contains((long) steps.size())) {
            saveStep(steps.size());
          }
        });
  }

  /** Writes the state with the variables' final values, and all that is left. */
  void finish() {
    write(
        () -> {
          // The best epoch's variables are none that Python has in the end.
          boolean isFinalized =
              ending.orElseThrow() == Ending.COMPLETED && !keepsBest() && hasAverages();
          if (isFinalized) {
            save("end", steps.size());
          }
          description.put("ending", isFinalized ? "finalized" : null);
          ArrayNode sizes = description.putArray("steps");
          steps.forEach(step -> sizes.add(step.examples()));
          ArrayNode snapshots = description.putArray("snapshots");
          written.forEach(snapshots::add);
          ArrayNode losses = description.putArray("losses");
          steps.forEach(step -> losses.add(step.loss()));
          writeDescription();
        });
  }

  /** Without them, the end is nothing but the last step once more. */
  private boolean hasAverages() {
    return description.path("optimizer").path("use_ema").asBoolean();
  }

  private boolean keepsBest() {
    return description.path("early_stopping").asBoolean();
  }

  /** Why the job could not be recorded. */
  Optional<IOException> failure() {
    return failure;
  }
}
