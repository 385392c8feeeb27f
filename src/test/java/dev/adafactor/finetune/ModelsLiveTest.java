package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.JavaProcess;
import dev.adafactor.cli.Main;
import dev.adafactor.python.ModelSample;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Models of many kinds that Python exported: trained here and by Python's tf_keras on the same
 * batches, and given back to Python. Of the models that take long there is a sample, but for {@code
 * -Dlive.full=true}; {@code -Dlive.models=cnn,lstm} takes those alone.
 */
@Tag("live")
@Tag("newest")
class ModelsLiveTest {
  /** These go through the program, in a process of its own; the others through the library. */
  private static final Set<String> BY_COMMAND_LINE =
      Set.of("cnn", "first_output", "tabular", "sentences");

  @TempDir static Path folder;

  private static final Map<String, double[]> LOSSES = new HashMap<>();

  /** Python starts three times in all, not thrice a model: that is what takes long. */
  @TestFactory
  Stream<DynamicTest> models() throws Exception {
    Python.run("export_models.py", ModelSample.of(folder));
    List<PythonJob> jobs = jobs();
    PythonJob.trainInPython(jobs);
    return Stream.of(
            each(jobs, "%s is trained", job -> LOSSES.put(job.name(), train(job))),
            Stream.of(DynamicTest.dynamicTest("Python loads the exports", () -> check(jobs))),
            each(
                jobs,
                "%s stays with tf_keras",
                job -> job.assertStaysWithTfKeras(LOSSES.get(job.name()))),
            each(jobs, "%s predicts the same in Python", PythonJob::assertPythonPredictsTheSame))
        .flatMap(tests -> tests);
  }

  private interface JobTest {
    void test(PythonJob job) throws Exception;
  }

  private static Stream<DynamicTest> each(List<PythonJob> jobs, String name, JobTest test) {
    return jobs.stream()
        .map(job -> DynamicTest.dynamicTest(name.formatted(job.name()), () -> test.test(job)));
  }

  private static List<PythonJob> jobs() throws IOException {
    List<PythonJob> jobs = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".json")).sorted().toList()) {
        jobs.add(PythonJob.read(file));
      }
    }
    return jobs;
  }

  private static double[] train(PythonJob job) throws IOException, InterruptedException {
    if (BY_COMMAND_LINE.contains(job.name())) {
      runProgram(job.options());
      return job.reportedLosses();
    }
    return job.builder().build().run().steps().stream()
        .mapToDouble(TrainingListener.Step::loss)
        .toArray();
  }

  private static void runProgram(List<String> options) throws IOException, InterruptedException {
    ProcessBuilder builder = JavaProcess.builder(Main.class, "fine-tune");
    builder.command().addAll(options);
    Process process = builder.redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
  }

  private static void check(List<PythonJob> jobs) throws Exception {
    Predicate<PythonJob> isTrained = job -> Files.exists(job.trained());
    PythonJob.checkInPython(jobs.stream().filter(isTrained).toList());
  }
}
