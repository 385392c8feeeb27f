package dev.adafactor.cli;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.files.PythonJson;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.StopRequest;
import dev.adafactor.finetune.TrainingListener;
import dev.adafactor.parity.JobComparison;
import dev.adafactor.parity.JobSides;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CancellationException;
import me.tongfei.progressbar.ProgressBarConsumer;

/**
 * A job that is done here and then, in the same steps, by a Python's tf_keras. What both leave for
 * the comparison is in a temporary folder, which closing this deletes.
 */
final class SideBySide implements AutoCloseable {
  /** Of one side; there are two, and a third one where tf_keras is compared with itself. */
  private static final long BYTES = 1L << 30;

  private final PrintWriter out;
  private final PythonScripts scripts;
  private final Map<String, String> versions = new LinkedHashMap<>();
  private final Optional<ProgressBarConsumer> terminal;

  /**
   * Unpacks the scripts.
   *
   * @param python the interpreter
   * @param terminal shows how far Python is, if it is one
   * @throws IOException if there is no room for them
   */
  SideBySide(Path python, PrintWriter out, Optional<ProgressBarConsumer> terminal)
      throws IOException {
    this.out = out;
    this.terminal = terminal;
    this.scripts = new PythonScripts(python);
  }

  /**
   * Checks, before anything else, that the interpreter is one and has the packages.
   *
   * @throws IOException if not
   */
  void requirePython() throws IOException {
    Path file = scripts.file("versions.json");
    run("versions.py", List.of(file.toString()), file, new StopRequest(), () -> {});
    versions.putAll(
        PythonJson.MAPPER.readValue(file.toFile(), new TypeReference<Map<String, String>>() {}));
  }

  private void run(
      String script, List<String> arguments, Path result, StopRequest stop, Runnable meanwhile)
      throws IOException {
    try {
      scripts.run(script, arguments, result, stop, meanwhile);
    } catch (IOException e) {
      throw new IOException("--compare-with: " + e.getMessage(), e);
    }
  }

  private Path recording() {
    return scripts.file("recording");
  }

  /**
   * Has Python check, once it is known what the job is and before its first step, that it can do
   * the same; a listener that throws {@link UncheckedIOException} if it cannot.
   */
  TrainingListener checking(StopRequest stop) {
    return new TrainingListener() {
      @Override
      public void planned(Plan plan) {
        try {
          runJob(scripts.file("check"), List.of("--check"), stop, () -> {});
        } catch (CancellationException e) {
          // The job is to stop, too.
        } catch (IOException e) {
          throw new UncheckedIOException(e.getMessage(), e);
        }
      }
    };
  }

  /** The job, to be recorded for Python. */
  FineTuning recorded(FineTuning.Builder job) throws IOException {
    Files.createDirectory(recording());
    return job.record(recording(), BYTES).build();
  }

  /**
   * Has Python do the job that was recorded, compares, and prints what there is to say.
   *
   * @throws CancellationException if it is to stop before all is compared
   * @throws IOException if Python fails
   */
  JobComparison compare(StopRequest stop) throws IOException {
    out.printf(
        "%nThe same job by tf_keras %s (TensorFlow %s, Python %s) …%n",
        versions.get("tf_keras"), versions.get("tf"), versions.get("python"));
    out.flush();
    Path theirs = scripts.file("python");
    runWatched(theirs, List.of(), stop);
    JobComparison comparison = JobComparison.of(new JobSides(recording(), theirs));
    requireGoingOn(stop);
    if (comparison.judgement() == JobComparison.Judgement.APART
        && comparison.firstNotFinite().isEmpty()) {
      out.println(
          "They part by more than one rounding: how far does tf_keras part from itself, if its"
              + " variables are disturbed by as much …");
      out.flush();
      comparison = comparison.withNoise(disturbed(comparison, stop));
      requireGoingOn(stop);
    }
    JobComparisonText.print(comparison, out);
    out.flush();
    return comparison;
  }

  private static void requireGoingOn(StopRequest stop) {
    if (stop.isStopped()) {
      throw new CancellationException("the comparison is to stop");
    }
  }

  private Path disturbed(JobComparison comparison, StopRequest stop) throws IOException {
    Path again = scripts.file("disturbed");
    List<String> options = new ArrayList<>(List.of("--disturb", "--snapshots"));
    comparison.doubtfulSteps().forEach(step -> options.add(Long.toString(step)));
    runWatched(again, options, stop);
    return again;
  }

  private void runJob(Path result, List<String> options, StopRequest stop, Runnable meanwhile)
      throws IOException {
    List<String> arguments = new ArrayList<>();
    arguments.add(recording().toString());
    arguments.add(result.toString());
    arguments.addAll(options);
    run("same_job.py", arguments, result, stop, meanwhile);
  }

  private void runWatched(Path result, List<String> options, StopRequest stop) throws IOException {
    if (terminal.isEmpty()) {
      runJob(result, options, stop, () -> {});
      return;
    }
    try (StepBar bar = new StepBar("tf_keras", job().get("steps").size(), terminal.get())) {
      runJob(
          result,
          options,
          stop,
          () -> {
            int done = JobSides.stepsDone(result);
            bar.stepTo(done, "tf_keras: %,d of %,d steps".formatted(done, bar.steps()));
          });
    }
  }

  private JsonNode job() throws IOException {
    return PythonJson.MAPPER.readTree(recording().resolve("job.json").toFile());
  }

  /**
   * What a browser shows of it.
   *
   * @throws IOException if a file of the comparison cannot be read
   */
  ReportPage page(JobComparison comparison) throws IOException {
    JsonNode job = job();
    Map<String, String> what = new LinkedHashMap<>();
    for (String name : List.of("model", "signature", "mode", "loss", "part_size")) {
      if (job.hasNonNull(name)) {
        what.put(name.replace('_', ' '), job.get(name).asText());
      }
    }
    List<String> notes = new ArrayList<>();
    notes.add(JobComparisonText.verdict(comparison));
    notes.add(
        "the state of both sides is compared after the steps that are points of the plots, the loss"
            + " of every step");
    return new ReportPage(
        "job",
        List.of(
            new ReportPage.Facts("Done with Python", versions),
            new ReportPage.Facts("Done with Java", Versions.ofJava()),
            new ReportPage.Facts("Job", what)),
        new ReportPage.Expectation(JobComparisonText.bounds(), OptionalDouble.empty()),
        List.of(
            comparison.run(Path.of(job.get("model").textValue()).getFileName().toString(), notes)));
  }

  @Override
  public void close() throws IOException {
    scripts.close();
  }
}
