package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.finetune.Digits;
import dev.adafactor.finetune.NpyFiles;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.ndarray.Shape;

class MainTest extends ProgramFixture {
  private static final String[] JOB = {
    "fine-tune",
    "--model=" + Digits.MODEL,
    "--features=" + Digits.TEST_IMAGES,
    "--labels=" + Digits.TEST_LABELS,
    "--loss=sparse_categorical_crossentropy"
  };

  private int runJob(String... more) {
    List<String> arguments = new ArrayList<>(List.of(JOB));
    arguments.addAll(List.of(more));
    return run(arguments);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--epochs=2", "--no-shuffle", "--learning-rate=0.1", "--json=a.json"})
  void takesAnOptionOnce(String option) {
    assertEquals(2, runJob("--seed=1", option, "--clipnorm=1", option));
    assertOneLine(option.replaceAll("=.*|no-", ""), " is given 2 times");
  }

  @Test
  void doesTheBundledJobAndSaysWhatItStandsFor() throws IOException {
    Path export = folder.resolve("model");
    Path chart = folder.resolve("chart.png");
    Path events = folder.resolve("events");
    Path json = folder.resolve("run.json");
    int exitCode =
        run(
            "fine-tune",
            "--epochs",
            "2",
            "--export",
            export.toString(),
            "--chart",
            chart.toString(),
            "--log-dir",
            events.toString(),
            "--json",
            json.toString());
    assertEquals("", err.toString());
    assertEquals(0, exitCode);
    String said = out.toString();
    assertTrue(said.startsWith("java -jar target/adafactor.jar fine-tune --model "), said);
    assertTrue(said.contains("--learning-rate 0.03"), said);
    assertTrue(said.contains("Mode: training ("), said);
    assertTrue(said.contains("Epoch 2/2: loss "), said);
    assertTrue(said.contains("Accuracy on the validation examples: 50.00% before, 9"), said);
    assertTrue(said.contains("Optimizer state: 5,428 bytes"), said);
    for (Path file : List.of(export, chart, events, json)) {
      assertTrue(said.contains(file.toString()), said);
    }

    assertTrue(Files.isRegularFile(export.resolve("saved_model.pb")));
    assertEquals(1000, ImageIO.read(chart.toFile()).getWidth());
    try (Stream<Path> files = Files.list(events)) {
      assertEquals(3, files.count()); // those of the steps; folders of training and validation
    }
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(2 * 43, report.get("losses").size());
    assertTrue(report.at("/metrics/after/accuracy").doubleValue() > 0.9);
    assertTrue(report.at("/timings/train_s").doubleValue() > 0);
    assertEquals(export.toString(), report.get("export").textValue());
  }

  @Test
  void theBundledSettingsReachWhatIsPromised() throws IOException {
    Path json = folder.resolve("run.json");
    int exitCode =
        run(
            "fine-tune",
            "--export=" + folder.resolve("model"),
            "--chart=" + folder.resolve("chart.png"),
            "--log-dir=" + folder.resolve("events"),
            "--json=" + json);
    assertEquals(0, exitCode, err::toString);
    double accuracy =
        new JsonMapper().readTree(json.toFile()).at("/metrics/after/accuracy").doubleValue();
    assertTrue(accuracy >= 0.98, () -> "accuracy " + accuracy);
  }

  @Test
  void anotherModelGetsTheDefaultsOfTfKeras() {
    assertEquals(0, runJob(), err::toString);
    assertTrue(out.toString().contains("1 x 15 steps"), out.toString());
    assertTrue(out.toString().contains("rate 0.00100"), out.toString());
    assertFalse(out.toString().contains("Chart"), out.toString());
  }

  @Test
  void trainsWithEveryOptionOfTheOptimizer() {
    assertEquals(
        0,
        runJob(
            "--learning-rate=0.01",
            "--beta-2-decay=-0.7",
            "--epsilon-1=1e-16",
            "--epsilon-2=0.002",
            "--clip-threshold=2",
            "--no-relative-step",
            "--weight-decay=0.01",
            "--exclude-from-weight-decay=bias",
            "--global-clipnorm=1",
            "--use-ema",
            "--ema-momentum=0.9",
            "--ema-overwrite-frequency=5",
            "--jit-compile",
            "--name=mine",
            "--numerics=tf-keras",
            "--no-shuffle"),
        err::toString);
    assertTrue(out.toString().contains("rate 0.0100"), out.toString());
  }

  @Test
  void everyOptionOfTheCourseReachesTheReport() throws IOException {
    Path json = folder.resolve("run.json");
    assertEquals(
        0,
        runJob(
            "--epochs=9",
            "--validation-split=0.4",
            "--early-stopping=1",
            "--monitor=accuracy",
            "--min-delta=0.9",
            "--batch-size=64",
            "--micro-batch-size=20",
            "--class-weight=3=2.5",
            "--class-weight=4=0.5",
            "--freeze=^conv",
            "--mode=inference",
            "--chart=" + folder.resolve("chart.png"),
            "--log-dir=" + folder.resolve("events"),
            "--json=" + json),
        err::toString);
    String said = out.toString();
    assertTrue(said.contains("Mode: inference ("), said);
    assertTrue(said.contains("Training 4 variables, 4 frozen, on 270 examples: 9 x 5"), said);
    assertTrue(said.contains(", validation loss "), said);
    assertTrue(said.contains("Stopped early, after epoch 2 of 9"), said);
    assertTrue(said.contains("Best epoch: 1, with loss "), said);
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals("stopped_early", report.get("ending").textValue());
    assertEquals(1, report.get("best_epoch").intValue());
    assertEquals(2, report.at("/metrics/epochs").size());
    assertEquals(180, report.at("/metrics/epochs/1/validation/examples").intValue());
    assertEquals(report.at("/metrics/epochs/0/validation/loss"), report.at("/metrics/after/loss"));
  }

  @Test
  void aJobThatWasDoneHasNothingToDraw() {
    Path chart = folder.resolve("chart.png");
    String[] options = {
      "--checkpoint=" + folder.resolve("checkpoints"), "--chart=" + chart, "--resume"
    };
    assertEquals(0, runJob(options), err::toString);
    assertTrue(Files.exists(chart));
    out.getBuffer().setLength(0);
    String[] again = options.clone();
    again[1] = "--chart=" + folder.resolve("again.png");
    assertEquals(0, runJob(again), err::toString);
    assertTrue(out.toString().contains("nothing was left to do"), out.toString());
    assertFalse(Files.exists(folder.resolve("again.png")));
  }

  @Test
  void aFolderOfFilesIsAFile() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    Path labels = Files.createDirectory(folder.resolve("labels"));
    for (String part : List.of("part-1.npy", "part-2.npy")) {
      Files.copy(Digits.TEST_IMAGES, images.resolve(part));
      Files.copy(Digits.TEST_LABELS, labels.resolve(part));
    }
    assertEquals(
        0,
        run(
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--features=" + images,
            "--labels=" + labels,
            "--loss=sparse-categorical-crossentropy"),
        err::toString);
    assertTrue(out.toString().contains("on 900 examples"), out.toString());
  }

  static Stream<Arguments> badOptions() {
    return Stream.of(
        Arguments.of("--epochs=0", "--epochs"),
        Arguments.of("--epochs=many", "many"),
        Arguments.of("--batch-size=-1", "--batch-size"),
        Arguments.of("--loss=hinge", "'hinge'"),
        Arguments.of("--labels=absent.npy", "absent.npy"),
        Arguments.of("--labels=", "'--labels': '' is no path"),
        Arguments.of("--features=image=", "no file after 'image='"),
        Arguments.of("--features=", "'' is no path"),
        Arguments.of("--loss=categorical-crossentropy", "sparse-categorical-crossentropy"),
        Arguments.of("--features=picture=" + Digits.TEST_IMAGES, "'picture'"),
        Arguments.of("--model=absent", "absent"),
        Arguments.of("--signature=absent", "'absent'"),
        Arguments.of("--output-name=absent", "'absent'"),
        Arguments.of("--mode=dreaming", "'dreaming' is none of training, inference"),
        Arguments.of("--numerics=wild", "'wild' is none of stable, tf_keras"),
        Arguments.of("--jit-compile=perhaps", "perhaps"),
        Arguments.of("--clipnorm=nan", "clipnorm"),
        Arguments.of("--optimizer=absent.json", "absent.json"),
        Arguments.of("--optimizer=" + Digits.TEST_IMAGES, "it is no text"),
        Arguments.of("--validation-labels=" + Digits.TEST_LABELS, "--validation-features"),
        Arguments.of("--validation-split=1", "--validation-split"),
        Arguments.of("--validation-sample-weights=w.npy", "--validation-features"),
        Arguments.of("--early-stopping=3", "--early-stopping needs --validation-features"),
        Arguments.of("--monitor=accuracy", "--early-stopping"),
        Arguments.of("--min-delta=0.1", "--early-stopping"),
        Arguments.of("--micro-batch-size=0", "--micro-batch-size"),
        Arguments.of("--class-weight=3", "--class-weight"),
        Arguments.of("--class-weight=12=0.5", "class 12"),
        Arguments.of("--sample-weights=absent.npy", "absent.npy"),
        Arguments.of("--freeze=encoder", "'encoder'"),
        Arguments.of("--freeze=[", "regular expression"),
        Arguments.of("--log-variables=all", "none of none, summary, scalars, histograms"),
        Arguments.of("--log-variables=scalars", "--log-dir, which is missing"),
        Arguments.of("--log-every=5", "--log-dir, which is missing"),
        Arguments.of("--unheard-of", "--unheard-of"));
  }

  @ParameterizedTest
  @MethodSource("badOptions")
  void badOptionsAreAnsweredInOneLine(String option, String part) {
    String name =
        option.substring(0, option.indexOf('=') < 0 ? option.length() : option.indexOf('='));
    List<String> arguments = new ArrayList<>(List.of(JOB));
    arguments.removeIf(argument -> argument.startsWith(name + "="));
    arguments.add(option);
    assertEquals(2, run(arguments), err::toString);
    assertOneLine(part);
  }

  @Test
  void aNumberIsANumber() {
    assertEquals(2, runJob("--learning-rate", "fast"));
    assertOneLine("--learning-rate");
    assertTrue(err.toString().contains("'fast' is no number, such as 0.01"), err.toString());
  }

  @Test
  void stepsBetweenEventsAreAtLeastOne() {
    String directory = folder.resolve("events").toString();
    assertEquals(2, runJob("--log-dir", directory, "--log-every", "0"));
    assertOneLine("--log-every is 0; 1 or more is wanted");
  }

  @ParameterizedTest
  @ValueSource(strings = {"--features", "--labels", "--loss"})
  void missingOptionsAreNamed(String option) {
    String[] arguments =
        Stream.of(JOB)
            .filter(argument -> !argument.startsWith(option + "="))
            .toArray(String[]::new);
    assertEquals(2, run(arguments));
    assertOneLine(option, " is missing");
  }

  @Test
  void aFolderInTheWayIsNamedBeforeTraining() throws IOException {
    Files.writeString(folder.resolve("precious.txt"), "");
    assertEquals(2, runJob("--export", folder.toString()));
    assertOneLine(folder.toString());
    assertFalse(out.toString().contains("Epoch"), out.toString());
  }

  static Stream<Arguments> badOutputs() {
    return Stream.of(
        Arguments.of("--export", "model/new", "overlaps with the input model"),
        Arguments.of("--log-dir", "model/events", "overlaps with the input model"),
        Arguments.of("--chart", "model/chart.png", "overlaps with the input model"),
        Arguments.of("--json", "model/variables/r.json", "overlaps with the input model"),
        Arguments.of("--json", "x.npy", "overlaps with --features"),
        Arguments.of("--chart", "x.npy", "overlaps with --features"),
        Arguments.of("--chart", "full", "that is a folder"),
        Arguments.of("--json", "pipe", "no ordinary file"),
        Arguments.of("--json", "file/run.json", "is a file, not a folder"),
        Arguments.of("--log-dir", "file", "that is a file"),
        Arguments.of("--export", "file/sub", "is a file, not a folder"),
        Arguments.of("--export", "dangling", "is a link to nothing"),
        Arguments.of("--chart", "dangling/c.png", "is a link to nothing"));
  }

  @ParameterizedTest
  @MethodSource("badOutputs")
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void outputsThatCannotBeWrittenAreRefusedBeforeTraining(String option, String path, String part)
      throws IOException, InterruptedException {
    copy(Digits.MODEL, folder.resolve("model"));
    Path images = Files.copy(Digits.TEST_IMAGES, folder.resolve("x.npy"));
    Files.writeString(folder.resolve("file"), "text");
    Files.createDirectories(folder.resolve("full/folder"));
    Files.createSymbolicLink(folder.resolve("dangling"), folder.resolve("absent"));
    new ProcessBuilder("mkfifo", folder.resolve("pipe").toString()).start().waitFor();
    Set<Path> before = everything();
    int exitCode =
        run(
            "fine-tune",
            "--model=" + folder.resolve("model"),
            "--features=" + images,
            "--labels=" + Digits.TEST_LABELS,
            "--loss=sparse-categorical-crossentropy",
            option,
            folder.resolve(path).toString());
    assertEquals(2, exitCode);
    assertOneLine(option, part);
    assertEquals("", out.toString());
    assertEquals(before, everything());
  }

  /** A prefix stands for files of other names. */
  @ParameterizedTest
  @ValueSource(strings = {"--restore", "--restore-what-fits"})
  void nothingIsWrittenInPlaceOfACheckpointToBeginWith(String option) throws IOException {
    Path prefix = folder.resolve("checkpoints/ckpt-15");
    assertEquals(0, runJob("--checkpoint=" + prefix.getParent()));
    Set<Path> before = everything();
    for (String ending : List.of(".index", ".data-00000-of-00001")) {
      for (String output : List.of("--json", "--chart")) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        String path = prefix + ending;
        assertEquals(2, runJob(option + "=" + prefix, output, path), () -> output + " " + path);
        assertOneLine(output, "overlaps with " + option + " '" + path + "'");
      }
    }
    assertEquals(before, everything());
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }

  private Set<Path> everything() throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.collect(Collectors.toSet());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"--log-dir", "--chart", "--json"})
  void nothingElseIsWrittenIntoTheExport(String option) {
    Path export = folder.resolve("model");
    assertEquals(2, runJob("--export=" + export, option, export.resolve("x").toString()));
    assertOneLine(option, "overlaps with --export");
    assertEquals("", out.toString());
  }

  @Test
  void aBadConfigurationIsNamedWithItsFile() throws IOException {
    Path file = Files.writeString(folder.resolve("optimizer.json"), "{\"clipnorm\": \"much\"}");
    assertEquals(2, runJob("--optimizer", file.toString()));
    assertOneLine(file.toString(), "clipnorm");
  }

  @Test
  void aConfigurationMayBeginWithAMarkButNotBeEndless() throws IOException {
    Path file = folder.resolve("optimizer.json");
    Files.writeString(file, "\uFEFF{\"learning_rate\": 0.03}");
    assertEquals(0, runJob("--optimizer", file.toString()), err::toString);
    assertTrue(out.toString().contains("rate 0.0300"), out.toString());
    try (RandomAccessFile endless = new RandomAccessFile(file.toFile(), "rw")) {
      endless.setLength(3L << 30);
    }
    assertEquals(2, runJob("--optimizer", file.toString()));
    assertOneLine(file.toString(), "it has 3,221,225,472 bytes");
  }

  @Test
  void aJobThatGoesOnDrawsWhatItDoes() throws IOException {
    String checkpoints = "--checkpoint=" + folder.resolve("checkpoints");
    assertEquals(0, runJob(checkpoints), err::toString);
    Path chart = folder.resolve("chart.png");
    Path json = folder.resolve("run.json");
    assertEquals(
        0,
        runJob(checkpoints, "--resume", "--epochs=2", "--chart=" + chart, "--json=" + json),
        err::toString);
    assertEquals(1000, ImageIO.read(chart.toFile()).getWidth());
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(16, report.get("first_step").intValue());
    assertEquals(15, report.get("losses").size());
    assertEquals(2, report.at("/metrics/epochs").size());
  }

  @Test
  void aConfigurationIsTakenAndOptionsChangeIt() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("optimizer.json"), "{\"learning_rate\": 0.5, \"epsilon_1\": 1e-16}");
    assertEquals(0, runJob("--optimizer", file.toString(), "--learning-rate=0.02"), err::toString);
    assertTrue(out.toString().contains("rate 0.0200"), out.toString());
  }

  @Test
  void aLossThatIsNotFiniteIsABadResult() throws IOException {
    Path images = NpyFiles.floats(folder.resolve("x.npy"), Shape.of(4, 8, 8, 1), new float[4 * 64]);
    Path labels = NpyFiles.longs(folder.resolve("y.npy"), Shape.of(4), 0, 1, 2, 3);
    int exitCode =
        run(
            "fine-tune",
            "--model=" + Digits.MODEL,
            "--features=" + images,
            "--labels=" + labels,
            "--loss=sparse-categorical-crossentropy",
            "--numerics=tf_keras",
            "--epochs=3");
    assertEquals(1, exitCode, err::toString);
    assertOneLine("the loss is NaN in step");
  }

  @Test
  void reductionsNeedShards() {
    assertEquals(2, runJob("--reductions=add_n"));
    assertOneLine("--reductions is for --mesh, which is missing");
    err.getBuffer().setLength(0);
    assertEquals(2, runJob("--reductions=collective", "--mesh=batch=2"));
    assertOneLine("--reductions is for sums over shards, and --mesh batch=2 cuts no variable");
  }

  @Test
  void shardsHaveAnUpdateOfTheirOwn() {
    assertEquals(2, runJob("--mesh=x=2", "--numerics=tf_keras"));
    assertOneLine("--mesh x=2 goes with --numerics stable alone");
    err.getBuffer().setLength(0);
    assertEquals(2, runJob("--mesh=y=2", "--jit-compile=always"));
    assertOneLine("--mesh y=2 goes with --jit-compile true or false");
    err.getBuffer().setLength(0);
    assertEquals(2, runJob("--mesh=rows=2"));
    assertOneLine("--mesh: rows=2 has neither x");
  }

  @Test
  void aFileForAnInputIsGivenOnce() {
    assertEquals(2, runJob("--features=other.npy"));
    assertOneLine("--features other.npy", "given for that input already");
  }

  @Test
  void aConfigurationOfTheOptimizerTakesThePlaceOfTheBundledOne() throws IOException {
    Path file = Files.writeString(folder.resolve("optimizer.json"), "{\"learning_rate\": 0.02}");
    assertEquals(
        0,
        run(
            "fine-tune",
            "--epochs=1",
            "--optimizer=" + file,
            "--export=" + folder.resolve("model"),
            "--log-dir=" + folder.resolve("events"),
            "--chart=" + folder.resolve("chart.png")),
        err::toString);
    assertFalse(out.toString().contains("--learning-rate"), out.toString());
    assertTrue(out.toString().contains("--batch-size 32"), out.toString());
    assertTrue(out.toString().contains("rate 0.0200"), out.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"fine-tune", "compare"})
  void everyCommandKnowsTheVersion(String command) {
    assertEquals(0, run(command, "--version"));
    assertTrue(out.toString().startsWith("adafactor "), out.toString());
  }

  @Test
  void theStackTraceIsShownOnDemand() {
    assertEquals(2, runJob("--signature=absent", "--stacktrace"));
    assertTrue(err.toString().contains("\tat dev.adafactor"), err.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"fine-tune", "compare"})
  void helpHasAnExample(String command) {
    assertEquals(0, run(command, "--help"));
    assertTrue(
        out.toString().contains("java -jar target/adafactor.jar " + command), out.toString());
  }
}
