package dev.adafactor.finetune;

import dev.adafactor.files.OutputPath;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Writes a training job's numbers for TensorBoard: {@code loss}, {@code accuracy} (of a
 * classification) and {@code learning_rate} of each step, {@code validation_loss} and {@code
 * validation_accuracy} of step 0 and of the last one; and by epoch, counted from 0 and named as by
 * tf_keras, {@code epoch_loss} and {@code epoch_accuracy}, where those of the validation data are a
 * run of their own in the folder {@code validation}.
 *
 * <p>The directory and the files appear with the first event, so that a job that does not start
 * leaves nothing behind. What has been written of a job that fails is kept.
 *
 * <p>Where something cannot be written, as on a full disk, the log ends, not the job: {@link
 * #close} tells of it.
 */
public final class TensorBoardLog implements TrainingListener, Closeable {
  private final Path directory;
  private Optional<EventFile> file = Optional.empty();
  private Optional<EventFile> validationFile = Optional.empty();
  private Optional<IOException> failure = Optional.empty();
  private long lastStep;

  /**
   * A log that nothing has been written to yet.
   *
   * @param directory where the event file goes, beside others that may be there
   */
  public TensorBoardLog(Path directory) {
    this.directory = directory;
  }

  @Override
  public void evaluatedBefore(Evaluation evaluation) {
    validation(evaluation);
  }

  @Override
  public void stepped(Step step) {
    lastStep = step.number();
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("loss", step.loss());
    step.accuracy().ifPresent(accuracy -> values.put("accuracy", accuracy));
    values.put("learning_rate", step.learningRate());
    write(values);
  }

  @Override
  public void epochEnded(Epoch epoch) {
    int index = epoch.number() - 1;
    write(
        () -> {
          file().scalars(index, ofEpoch(epoch.training()));
          file().flush();
          if (epoch.validation().isPresent()) {
            validationFile().scalars(index, ofEpoch(epoch.validation().get()));
            validationFile().flush();
          }
        });
  }

  private static Map<String, Double> ofEpoch(Evaluation evaluation) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("epoch_loss", evaluation.loss());
    evaluation.accuracy().ifPresent(accuracy -> values.put("epoch_accuracy", accuracy));
    return values;
  }

  @Override
  public void evaluatedAfter(Evaluation evaluation) {
    validation(evaluation);
  }

  private void validation(Evaluation evaluation) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("validation_loss", evaluation.loss());
    evaluation.accuracy().ifPresent(accuracy -> values.put("validation_accuracy", accuracy));
    write(values);
  }

  private void write(Map<String, Double> values) {
    write(() -> file().scalars(lastStep, values));
  }

  private interface Writing {
    void run() throws IOException;
  }

  private void write(Writing writing) {
    if (failure.isEmpty()) {
      try {
        writing.run();
      } catch (IOException e) {
        failure = Optional.of(e);
      }
    }
  }

  private EventFile file() throws IOException {
    if (file.isEmpty()) {
      file = Optional.of(EventFile.create(directory, Clock.systemUTC()));
    }
    return file.get();
  }

  private EventFile validationFile() throws IOException {
    if (validationFile.isEmpty()) {
      validationFile =
          Optional.of(EventFile.create(directory.resolve("validation"), Clock.systemUTC()));
    }
    return validationFile.get();
  }

  /**
   * Ends the log.
   *
   * @throws IOException if something could not be written since it began; the message names the
   *     directory
   */
  @Override
  public void close() throws IOException {
    for (Optional<EventFile> each : List.of(file, validationFile)) {
      if (each.isPresent()) {
        try {
          each.get().close();
        } catch (IOException e) {
          failure = failure.or(() -> Optional.of(e));
        }
      }
    }
    if (failure.isPresent()) {
      throw new OutputPath(
              "cannot write TensorBoard events to", directory, OutputPath.Kind.SHARED_FOLDER)
          .failure(failure.get());
    }
  }
}
