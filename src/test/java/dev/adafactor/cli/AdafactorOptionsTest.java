package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import picocli.CommandLine;

class AdafactorOptionsTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path folder;

  /** What tf_keras's get_config() would give for the optimizer that the options describe. */
  private static JsonNode configuration(String... options) throws IOException {
    AdafactorOptions parsed = CommandLine.populateCommand(new AdafactorOptions(), options);
    try (Graph graph = new Graph()) {
      return JSON.readTree(parsed.optimizer(new DeviceOptions()).apply(graph).toJson());
    }
  }

  @Test
  void withoutOptionsEverythingIsAsInTfKeras() throws IOException {
    try (Graph graph = new Graph()) {
      assertEquals(JSON.readTree(new Adafactor(graph).toJson()), configuration());
    }
  }

  @Test
  void everyArgumentHasItsOption() throws IOException {
    JsonNode configuration =
        configuration(
            "--learning-rate=0.5",
            "--beta-2-decay=-0.75",
            "--epsilon-1=0.25",
            "--epsilon-2=0.125",
            "--clip-threshold=2",
            "--no-relative-step",
            "--weight-decay=0.0625",
            "--exclude-from-weight-decay=bias",
            "--exclude-from-weight-decay=a,b",
            "--clipnorm=3",
            "--clipvalue=4",
            "--use-ema",
            "--ema-momentum=0.75",
            "--ema-overwrite-frequency=7",
            "--jit-compile=false",
            "--name=mine",
            "--numerics=STABLE");
    JsonNode expected =
        JSON.readTree(
            """
            {"name": "mine", "weight_decay": 0.0625, "clipnorm": 3.0, "global_clipnorm": null,
             "clipvalue": 4.0, "use_ema": true, "ema_momentum": 0.75,
             "ema_overwrite_frequency": 7, "jit_compile": false, "is_legacy_optimizer": false,
             "learning_rate": 0.5, "beta_2_decay": -0.75, "epsilon_1": 0.25, "epsilon_2": 0.125,
             "clip_threshold": 2.0, "relative_step": false}
            """);
    expected
        .properties()
        .forEach(
            argument ->
                assertEquals(
                    argument.getValue().asText(),
                    configuration.path(argument.getKey()).asText(),
                    argument.getKey()));
    assertEquals(expected.size(), configuration.size());
    assertEquals(6, configuration("--global-clipnorm=6").get("global_clipnorm").asDouble());
  }

  @Test
  void transientMemoryIsBoundedByNoLessThanIsNeeded() throws IOException {
    assertEquals(configuration(), configuration("--transient-bytes=1048576"));
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> configuration("--transient-bytes=1048575"))
            .getMessage();
    assertTrue(message.contains("transientBytes=1048575"), message);
  }

  @Test
  void optionsChangeAConfigurationFromAFile() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("optimizer.json"), "{\"learning_rate\": 0.5, \"epsilon_1\": 0.25}");
    JsonNode configuration = configuration("--optimizer=" + file, "--learning-rate=0.125");
    assertEquals(0.125, configuration.get("learning_rate").asDouble());
    assertEquals(0.25, configuration.get("epsilon_1").asDouble());
  }

  @Test
  void aConfigurationMayNameAScheduleOfAProvider() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("optimizer.json"),
            """
            {"learning_rate": {"class_name": "Installed", "registered_name": "tests>Installed",
                               "config": {"rate": 0.5}}}
            """);
    AdafactorOptions parsed =
        CommandLine.populateCommand(new AdafactorOptions(), "--optimizer=" + file);
    try (Graph graph = new Graph()) {
      assertTrue(parsed.optimizer(new DeviceOptions()).apply(graph).isSchedule());
    }
  }

  @Test
  void anUnknownScheduleIsNamedWithItsFile() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("optimizer.json"),
            "{\"learning_rate\": {\"class_name\": \"mine>Noam\", \"config\": {}}}");
    String message =
        assertThrows(IllegalArgumentException.class, () -> configuration("--optimizer=" + file))
            .getMessage();
    assertTrue(
        message.startsWith(
            "--optimizer "
                + file
                + ": Adafactor: `learning_rate` is of the unknown schedule 'mine>Noam'; known are"
                + " ExponentialDecay, "),
        message);
    assertEquals(1, message.lines().count());
  }

  @Test
  void jitCompileIsKnownByTfKerasValuesAndAlways() throws IOException {
    assertEquals(true, configuration("--jit-compile=always").get("jit_compile").asBoolean());
    assertThrows(
        CommandLine.ParameterException.class, () -> configuration("--jit-compile=perhaps"));
  }
}
