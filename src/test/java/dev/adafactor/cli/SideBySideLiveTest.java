package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.PythonJob;
import dev.adafactor.python.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Jobs that tf_keras does as well. */
@Tag("live")
class SideBySideLiveTest extends ProgramFixture {
  private static final String GOOD = "Java trains as tf_keras does";

  @TempDir static Path models;

  @BeforeAll
  static void export() throws Exception {
    Python.run(
        "export_models.py",
        models,
        "--only",
        "mlp",
        "cnn",
        "autoencoder",
        "tabular",
        "transformer",
        "transformer_without_dropout",
        "lstm",
        "first_output",
        "words",
        "bag",
        "sentences",
        "mixed");
    Python.run("export_sure.py", models);
  }

  private int fineTune(String python, String model, String features, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--model=" + models.resolve(model),
                "--labels=" + models.resolve(model + "-labels.npy"),
                "--loss=sparse-categorical-crossentropy",
                "--epsilon-1=1e-16",
                "--batch-size=8",
                "--compare-with=" + python));
    for (String input : features.split(",", -1)) {
      arguments.add(
          "--features=%s=%s".formatted(input, models.resolve(model + "-" + input + ".npy")));
    }
    arguments.addAll(Arrays.asList(more));
    return fineTune(arguments);
  }

  private int fineTune(List<String> options) {
    List<String> arguments = new ArrayList<>(List.of("fine-tune"));
    arguments.addAll(options);
    return run(arguments);
  }

  private void assertGood(int exitCode) {
    assertEquals("", err.toString());
    assertEquals(0, exitCode, out::toString);
    assertTrue(out.toString().contains(GOOD), out::toString);
  }

  static List<String> kinds() {
    return sample(
        List.of("autoencoder", "first_output", "lstm", "words", "sentences", "mixed_training"));
  }

  /** All of them for {@code -Dlive.full=true}, else a third, by {@code -Dlive.seed}. */
  private static <T> List<T> sample(List<T> all) {
    List<T> shuffled = new ArrayList<>(all);
    Collections.shuffle(shuffled, new Random(Long.getLong("live.seed", 1)));
    return Boolean.getBoolean("live.full") ? shuffled : shuffled.subList(0, all.size() / 3);
  }

  /**
   * Each of the losses, of logits and of what a softmax or sigmoid makes; text, whole and in words;
   * classes of an embedding, several inputs and outputs; a mixed policy.
   */
  @ParameterizedTest
  @MethodSource("kinds")
  void modelsOfManyKinds(String name) throws Exception {
    List<String> options =
        new ArrayList<>(PythonJob.read(models.resolve(name + ".json")).options());
    options.add("--compare-with=" + Python.interpreter());
    assertGood(fineTune(options));
  }

  static List<Arguments> endings() {
    return sample(
        List.of(
            Arguments.of("softmax", "x", "sparse-categorical-crossentropy"),
            Arguments.of("subclass", "input_1", "sparse-categorical-crossentropy"),
            Arguments.of("sigmoid", "x", "binary-crossentropy")));
  }

  /** tf_keras itself cuts off such small probabilities, unless it sees what makes them. */
  @ParameterizedTest
  @MethodSource("endings")
  void probabilitiesNextToNothing(String model, String input, String loss) {
    assertGood(fineTune(jobOf(model, input, loss)));
  }

  private static List<String> jobOf(String model, String input, String loss, String... more) {
    List<String> options =
        new ArrayList<>(
            List.of(
                "--model=" + models.resolve(model),
                "--features=%s=%s".formatted(input, models.resolve(model + "-x.npy")),
                "--labels=" + models.resolve(model + "-y.npy"),
                "--loss=" + loss,
                "--batch-size=8",
                "--learning-rate=0.05",
                "--epsilon-1=1e-16",
                "--compare-with=" + Python.interpreter()));
    options.addAll(Arrays.asList(more));
    return options;
  }

  /** With weight decay but for some, moving averages, and a page. */
  @Test
  @Tag("newest")
  void aSignature() throws Exception {
    Path page = folder.resolve("page.html");
    assertGood(
        fineTune(
            Python.interpreter(),
            "mlp",
            "x",
            "--epochs=2",
            "--learning-rate=0.05",
            "--weight-decay=0.01",
            "--exclude-from-weight-decay=bias",
            "--use-ema",
            "--ema-momentum=0.9",
            "--compare-report=" + page));
    assertTrue(out.toString().contains("averages"), out::toString);
    assertTrue(Files.readString(page).contains("\"within_rounding\""));
  }

  /** With statistics, micro-batches, weights, a split, and a frozen variable. */
  @Test
  @Tag("newest")
  void aModelInTraining() {
    assertGood(
        fineTune(
            Python.interpreter(),
            "cnn",
            "x",
            "--mode=training",
            "--epochs=2",
            "--micro-batch-size=3",
            "--class-weight=1=2.5",
            "--validation-split=0.2",
            "--early-stopping=1",
            "--freeze=batch_normalization/gamma",
            "--global-clipnorm=0.5",
            "--learning-rate=0.03"));
    assertTrue(out.toString().contains("moving_variance"), out::toString);
  }

  /** Clipping sees the rows of all parts before those of one word are added up. */
  @Test
  void rowsInParts() {
    assertGood(
        fineTune(
            Python.interpreter(),
            "bag",
            "words",
            "--micro-batch-size=3",
            "--from-logits",
            "--global-clipnorm=0.05",
            "--learning-rate=0.1"));
  }

  @Test
  @Tag("newest")
  void aModuleOfSeveralInputs() {
    assertGood(
        fineTune(
            Python.interpreter(),
            "tabular",
            "row,known",
            "--signature=score",
            "--output-name=scores",
            "--from-logits",
            "--learning-rate=0.05"));
  }

  /** The gradient of an attention's key bias is nothing but rounding. */
  @Test
  void whatNothingDecides() {
    assertGood(
        fineTune(
            Python.interpreter(),
            "transformer_without_dropout",
            "ids",
            "--mode=training",
            "--from-logits",
            "--learning-rate=0.01"));
    assertTrue(out.toString().contains("but for what nothing but rounding decides"), out::toString);
    assertTrue(out.toString().contains("key/bias"), out::toString);
  }

  @Test
  void randomNumbersAreRefused() {
    assertEquals(
        2,
        fineTune(Python.interpreter(), "transformer", "ids", "--mode=training", "--from-logits"));
    assertEquals(1, err.toString().lines().count(), err::toString);
    assertTrue(err.toString().contains("draws random numbers"), err::toString);
    assertTrue(err.toString().contains("--mode inference"), err::toString);
    assertTrue(err.toString().contains("dropout"), err::toString);
  }

  /** A Python whose variables become infinite in the first step. */
  @Test
  void whatTfKerasRuins() throws Exception {
    Path page = folder.resolve("page.html");
    assertEquals(
        1, fineTune(withEpsilon2("1e999"), "mlp", "x", "--compare-report=" + page), err::toString);
    assertTrue(Files.readString(page).contains("\"standing\":\"not_comparable\""));
    assertTrue(out.toString().contains("NOT COMPARABLE"), out::toString);
    assertTrue(out.toString().contains("not finite from step 1 on"), out::toString);
  }

  /** A Python that does the job with another argument. */
  @Test
  void anotherJobIsApart() throws Exception {
    assertEquals(1, fineTune(withEpsilon2("0.01"), "mlp", "x"), err::toString);
    assertTrue(out.toString().contains("NOT AS TF_KERAS: they part after step 1"), out::toString);
    assertFalse(out.toString().contains(GOOD), out::toString);
  }

  @Test
  void aPythonThatFailsTakesNothingWithIt() throws Exception {
    String failing =
        interpreter(
            """
            case "$2 $5" in "same_job.py ") kill -9 $$;; esac
            exec "%s" "$@"
            """
                .formatted(Python.interpreter()));
    Path export = folder.resolve("export");
    assertEquals(2, fineTune(failing, "mlp", "x", "--export=" + export));
    assertEquals(1, err.toString().lines().count(), err::toString);
    assertTrue(err.toString().contains("--compare-with: '" + failing), err::toString);
    assertTrue(Files.exists(export.resolve("saved_model.pb")));
  }

  /** Before the job. */
  @Test
  void aModelThatPythonCannotLoadIsRefused() throws Exception {
    String failing =
        interpreter(
            """
            case "$2" in same_job.py) rm "$(dirname "$3")/same_job.py";; esac
            exec "%s" "$@"
            """
                .formatted(Python.interpreter()));
    Path export = folder.resolve("export");
    assertEquals(2, fineTune(failing, "mlp", "x", "--export=" + export));
    assertEquals(1, err.toString().lines().count(), err::toString);
    assertTrue(err.toString().contains("same_job.py"), err::toString);
    assertTrue(Files.notExists(export), "the job was done");
  }

  private String withEpsilon2(String value) throws Exception {
    return interpreter(
        """
        case "$2" in same_job.py) sed -i 's/"epsilon_2":0.001/"epsilon_2":%s/' "$3/job.json";; esac
        exec "%s" "$@"
        """
            .formatted(value, Python.interpreter()));
  }

  private String interpreter(String script) throws Exception {
    Path file = Files.writeString(folder.resolve("python"), "#!/bin/sh\n" + script);
    assertTrue(file.toFile().setExecutable(true));
    return file.toString();
  }
}
