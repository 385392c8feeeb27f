package dev.adafactor.finetune;

import dev.adafactor.files.OutputPath;
import dev.adafactor.files.Writing;
import dev.adafactor.finetune.UpdateReport.Variable;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.ToDoubleFunction;

/**
 * Writes a training job's numbers for TensorBoard.
 *
 * <ul>
 *   <li>Of each step {@code loss}, {@code accuracy} (of a classification) and {@code
 *       learning_rate}.
 *   <li>Before the first step, as step 0, and after the last {@code validation_loss} and {@code
 *       validation_accuracy}.
 *   <li>By epoch, counted from 0, {@code epoch_loss} and {@code epoch_accuracy}, as by tf_keras: in
 *       the folder {@code train}, and those of the validation data in {@code validation}, which
 *       TensorBoard shows as runs.
 *   <li>With {@link FineTuning.Builder#logVariables}, of the first step and then every so many,
 *       {@code adafactor/rho}, {@code adafactor/beta2} and {@code adafactor/clipped}, the share of
 *       clipped updates of all variables since the last time; and the least, median and largest
 *       {@code alpha}, {@code rms_update} and {@code rms_variable} among the variables, as {@code
 *       adafactor/alpha_min}, {@code adafactor/alpha_median}, {@code adafactor/alpha_max} and so
 *       on. {@link UpdateReport} says what they are.
 *   <li>From {@link VariableDetail#SCALARS} on {@code adafactor_alpha/NAME}, {@code
 *       adafactor_rms_update/NAME}, {@code adafactor_rms_variable/NAME} and {@code
 *       adafactor_clipped/NAME} of each variable: TensorBoard shows what comes before the first
 *       slash as a group.
 *   <li>With {@link VariableDetail#HISTOGRAMS} {@code adafactor_values/NAME}, the variable's
 *       elements after the step, and {@code adafactor_changes/NAME}, by how much the step has
 *       changed each.
 * </ul>
 *
 * <p>The directory and the files appear with the first event, so that a job that does not start
 * leaves nothing behind. What has been written of a job that fails is kept. A job that goes on from
 * a checkpoint writes files of its own; TensorBoard shows them as one with the earlier ones,
 * without the steps and epochs that were done twice.
 *
 * <p>Where something cannot be written, as on a full disk, the log ends, not the job: {@link
 * #close} tells of it.
 */
public final class TensorBoardLog implements TrainingListener, Closeable {
  private static final String GROUP = "adafactor";

  /** What is told of each variable. */
  private static final Map<String, ToDoubleFunction<Variable>> NUMBERS = new LinkedHashMap<>();

  static {
    NUMBERS.put("alpha", Variable::alpha);
    NUMBERS.put("rms_update", Variable::updateRms);
    NUMBERS.put("rms_variable", Variable::variableRms);
  }

  private final Path directory;
  private Optional<EventFile> file = Optional.empty();

  /** By epochs. */
  private Optional<EventFile> trainFile = Optional.empty();

  /** By epochs. */
  private Optional<EventFile> validationFile = Optional.empty();

  private Optional<IOException> failure = Optional.empty();

  /** Where the log goes on that a process before has left. */
  private OptionalLong restartsAt = OptionalLong.empty();

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
  public void resumed(Path checkpoint, long steps) {
    restartsAt = OptionalLong.of(steps + 1);
    lastStep = steps;
  }

  /** A process before may have been killed ahead of its first checkpoint. */
  @Override
  public void begunAnew() {
    restartsAt = OptionalLong.of(0);
  }

  /** A job that goes on tells of no step by that: its curve is that of the whole job. */
  @Override
  public void evaluatedBefore(Evaluation evaluation) {
    if (restartsAt.orElse(0) == 0) {
      validation(evaluation);
    }
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
  public void reported(UpdateReport report) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put(GROUP + "/rho", report.rho());
    values.put(GROUP + "/beta2", report.beta2());
    values.put(
        GROUP + "/clipped",
        report.variables().stream().mapToDouble(Variable::clipped).average().orElseThrow());
    NUMBERS.forEach((name, number) -> summarize(name, report, number, values));
    Map<String, Histogram> histograms = new LinkedHashMap<>();
    if (report.detail().compareTo(VariableDetail.SCALARS) >= 0) {
      for (Variable variable : report.variables()) {
        NUMBERS.forEach(
            (name, number) -> values.put(tag(name, variable), number.applyAsDouble(variable)));
        values.put(tag("clipped", variable), variable.clipped());
        variable
            .distributions()
            .ifPresent(
                each -> {
                  histograms.put(tag("values", variable), each.values());
                  histograms.put(tag("changes", variable), each.changes());
                });
      }
    }
    write(values);
    if (!histograms.isEmpty()) {
      write(() -> file().histograms(report.step(), histograms));
    }
  }

  private static String tag(String name, Variable variable) {
    return GROUP + "_" + name + "/" + variable.name();
  }

  private static void summarize(
      String name,
      UpdateReport report,
      ToDoubleFunction<Variable> number,
      Map<String, Double> values) {
    double[] sorted = report.variables().stream().mapToDouble(number).sorted().toArray();
    int middle = sorted.length / 2;
    double median =
        sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    values.put("%s/%s_min".formatted(GROUP, name), sorted[0]);
    values.put("%s/%s_median".formatted(GROUP, name), median);
    values.put("%s/%s_max".formatted(GROUP, name), sorted[sorted.length - 1]);
  }

  @Override
  public void epochEnded(Epoch epoch) {
    int index = epoch.number() - 1;
    write(
        () -> {
          trainFile(index).scalars(index, ofEpoch(epoch.training()));
          if (epoch.validation().isPresent()) {
            validationFile(index).scalars(index, ofEpoch(epoch.validation().get()));
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
      file = Optional.of(open(directory, restartsAt.orElse(0)));
    }
    return file.get();
  }

  private EventFile trainFile(int epoch) throws IOException {
    if (trainFile.isEmpty()) {
      trainFile = Optional.of(open(directory.resolve("train"), epoch));
    }
    return trainFile.get();
  }

  private EventFile validationFile(int epoch) throws IOException {
    if (validationFile.isEmpty()) {
      validationFile = Optional.of(open(directory.resolve("validation"), epoch));
    }
    return validationFile.get();
  }

  private EventFile open(Path folder, long first) throws IOException {
    EventFile events = EventFile.create(folder, Clock.systemUTC());
    if (restartsAt.isPresent()) {
      events.restartAt(first);
    }
    return events;
  }

  /**
   * Ends the log.
   *
   * @throws IOException if something could not be written since it began; the message names the
   *     directory
   */
  @Override
  public void close() throws IOException {
    for (Optional<EventFile> each : List.of(file, trainFile, validationFile)) {
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
