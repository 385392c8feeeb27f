package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.finetune.Digits;
import dev.adafactor.python.Python;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The program in a process of its own, as a user starts it. */
class QuietTest {
  private static final String CLASS_PATH = System.getProperty("java.class.path");

  @TempDir Path folder;

  private int runOnDigits(String classPath, String... options)
      throws IOException, InterruptedException {
    List<String> all =
        new ArrayList<>(
            List.of("--features=" + Digits.TEST_IMAGES, "--labels=" + Digits.TEST_LABELS));
    all.addAll(List.of(options));
    return run(classPath, all.toArray(String[]::new));
  }

  private int run(String classPath, String... options) throws IOException, InterruptedException {
    ProcessBuilder builder =
        JavaProcess.builder(
            List.of("-cp", classPath),
            Main.class,
            "fine-tune",
            "--loss=sparse-categorical-crossentropy");
    builder.command().addAll(List.of(options));
    builder.environment().remove("TF_CPP_MIN_LOG_LEVEL");
    builder.redirectOutput(folder.resolve("out").toFile());
    return builder.redirectError(folder.resolve("errors").toFile()).start().waitFor();
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"false", "always"})
  void nothingButTheProgramSpeaks(String jitCompile) throws IOException, InterruptedException {
    int exitCode =
        runOnDigits(
            CLASS_PATH,
            "--model=" + Digits.MODEL,
            "--jit-compile=" + jitCompile,
            "--chart=" + folder.resolve("chart.png"));
    assertEquals("", read("errors"));
    assertEquals(0, exitCode);
    assertTrue(read("out").startsWith("Mode: "), read("out"));
  }

  @Test
  void damagedVariablesAreSaidInOneLine() throws IOException, InterruptedException {
    Path variables = Files.createDirectories(folder.resolve("model/variables"));
    Files.copy(Digits.MODEL.resolve("saved_model.pb"), folder.resolve("model/saved_model.pb"));
    for (String file : List.of("variables.index", "variables.data-00000-of-00001")) {
      Files.writeString(variables.resolve(file), "damaged");
    }
    assertEquals(2, runOnDigits(CLASS_PATH, "--model=" + folder.resolve("model")));
    assertEquals(1, read("errors").lines().count(), read("errors"));
  }

  @Test
  void aMissingNativeLibraryIsSaidInOneLine() throws IOException, InterruptedException {
    String withoutLibrary =
        Arrays.stream(CLASS_PATH.split(File.pathSeparator, -1))
            .filter(entry -> !entry.matches(".*tensorflow-core-native-[\\d.]+-.*"))
            .collect(Collectors.joining(File.pathSeparator));
    assertEquals(1, runOnDigits(withoutLibrary, "--model=" + Digits.MODEL));
    assertEquals(1, read("errors").lines().count(), read("errors"));
    assertTrue(read("errors").contains("classifier " + Loader.getPlatform()), read("errors"));
  }

  @Test
  void aWarningIsOneLine() throws IOException, InterruptedException {
    Path optimizer = Files.writeString(folder.resolve("optimizer.json"), "{\"lr\": 0.01}");
    assertEquals(0, runOnDigits(CLASS_PATH, "--model=" + Digits.MODEL, "--optimizer=" + optimizer));
    assertEquals(1, read("errors").lines().count(), read("errors"));
    assertTrue(read("errors").startsWith("adafactor: warning: "), read("errors"));
  }

  /** For float64 the graph's optimizer has more to remark. */
  @Test
  @Tag("live")
  void float64IsTrainedQuietly() throws IOException, InterruptedException {
    Python.run("export_models.py", folder, "--only", "float64");
    int exitCode =
        run(
            CLASS_PATH,
            "--model=" + folder.resolve("float64"),
            "--features=" + folder.resolve("float64-x.npy"),
            "--labels=" + folder.resolve("float64-labels.npy"));
    assertEquals("", read("errors"));
    assertEquals(0, exitCode);
    // r and c of 5 x 8 and 8 x 3, v of 8 and 3, in float64.
    assertTrue(read("out").contains("Optimizer state: 280 bytes for 600"), read("out"));
  }
}
