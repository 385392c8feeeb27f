package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.parity.CaseFile;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Cases that the program has Python record on the spot. */
@Tag("live")
@Tag("newest")
class RecordingLiveTest extends ProgramFixture {
  private int compare(String... arguments) {
    return run(
        Stream.concat(Stream.of("compare"), Arrays.stream(arguments)).toArray(String[]::new));
  }

  private String python() {
    return "--python=" + Python.interpreter();
  }

  private String config(String name, String json) throws IOException {
    return "--config=" + Files.writeString(folder.resolve(name), json);
  }

  @Test
  void recordsAndReplaysAtOnce() throws Exception {
    Path saved = folder.resolve("saved.json.gz");
    Path report = folder.resolve("report.html");
    String serialized =
        new JsonMapper()
                .readTree(Path.of("src/test/resources/goldens/configs.json").toFile())
                .findValuesAsText("json")
                .stream()
                .filter(json -> json.contains("CosineDecay\""))
                .filter(json -> json.contains("registered_name"))
                .findFirst()
                .orElseThrow();
    int exit =
        compare(
            python(),
            config("clipped.json", "{\"clipnorm\": 0.5, \"use_ema\": true}"),
            config("scheduled.json", serialized),
            "--shapes=dense/kernel=6x4,4,scale=scalar",
            "--steps=5",
            "--seed=3",
            "--dtype=float64",
            "--numerics=tf_keras",
            "--save-cases=" + saved,
            "--report=" + report);
    assertEquals(0, exit, out + "" + err);
    var cases = CaseFile.read(saved).cases();
    assertEquals(List.of("clipped", "scheduled"), cases.stream().map(each -> each.id()).toList());
    assertEquals(5, cases.get(0).steps().size());
    assertEquals(
        List.of("dense/kernel", "variable_2", "scale"),
        cases.get(0).variables().stream().map(variable -> variable.name()).toList());
    assertEquals(
        List.of(List.of(6L, 4L), List.of(4L), List.of()),
        cases.get(0).variables().stream().map(variable -> variable.shape()).toList());
    assertEquals("float64", cases.get(0).variables().get(1).type().label());
    if (System.getProperty("os.arch").equals("amd64")) {
      assertTrue(out.toString().contains("2 of 2 cases are bit-equal"), out.toString());
    }
    assertTrue(Files.readString(report).contains("\"tf_keras\":\""), "no version in the page");
    out.getBuffer().setLength(0);
    assertEquals(0, compare("--cases", saved.toString(), "--numerics=tf_keras"), out + "" + err);
  }

  @Test
  void whatTfKerasRefusesIsSaidInOneLine() throws IOException {
    // tf_keras computes such a schedule in int32, and fails.
    String integers =
        "{\"learning_rate\": {\"class_name\": \"ExponentialDecay\", \"config\":"
            + " {\"initial_learning_rate\": 1, \"decay_steps\": 2, \"decay_rate\": 0.5}}}";
    Path saved = folder.resolve("saved.json");
    assertBad("Error", python(), config("integers.json", integers), "--save-cases=" + saved);
    assertFalse(Files.exists(saved));
  }

  @Test
  void aPythonWithoutThePackagesIsTold() throws IOException {
    Path bare = folder.resolve("bare");
    Files.writeString(bare, "#!/bin/sh\nexec '%s' -S \"$@\"\n".formatted(Python.interpreter()));
    assertTrue(bare.toFile().setExecutable(true));
    assertBad("has no tensorflow and no tf_keras", "--python=" + bare);
    assertBad("-m pip install tensorflow tf_keras", "--python=" + bare);
  }

  @Test
  void anOldTfKerasIsTold() throws IOException {
    Path metadata = Files.createDirectories(folder.resolve("old/tf_keras-2.15.1.dist-info"));
    Files.writeString(
        metadata.resolve("METADATA"), "Metadata-Version: 2.1\nName: tf_keras\nVersion: 2.15.1\n");
    Path old = folder.resolve("python");
    Files.writeString(
        old,
        "#!/bin/sh\nPYTHONPATH='%s' exec '%s' \"$@\"\n"
            .formatted(metadata.getParent(), Python.interpreter()));
    assertTrue(old.toFile().setExecutable(true));
    assertBad("has tf_keras 2.15.1, 2.16 is the oldest that works", "--python=" + old);
  }

  private void assertBad(String message, String... arguments) {
    err.getBuffer().setLength(0);
    String[] all =
        Stream.concat(Stream.of("--shapes=2"), Arrays.stream(arguments)).toArray(String[]::new);
    assertEquals(2, compare(all), out.toString());
    assertOneLine(message);
  }
}
