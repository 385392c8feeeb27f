package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Model.CommandSpec;

class BundledJobTest {
  private static final CommandSpec COMMAND = CommandSpec.forAnnotatedObject(new FineTuneCommand());

  @TempDir Path folder;

  private BundledJob job(String json) throws IOException {
    return new BundledJob(Files.writeString(folder.resolve("job.json"), json));
  }

  @Test
  void settingsBecomeArgumentsWithPathsBesideTheFile() throws IOException {
    BundledJob job =
        job(
            """
            {"model": "net", "features": ["a=x.npy", "y.npy"], "labels": "l.npy", "epochs": 3,
             "shuffle": false, "use-ema": true, "jit-compile": "always", "learning-rate": 0.5}
            """);
    assertEquals(
        List.of(
            "--model",
            folder.resolve("net").toString(),
            "--features",
            "a=" + folder.resolve("x.npy"),
            "--features",
            folder.resolve("y.npy").toString(),
            "--labels",
            folder.resolve("l.npy").toString(),
            "--epochs",
            "3",
            "--no-shuffle",
            "--use-ema",
            "--jit-compile",
            "always",
            "--learning-rate",
            "0.5"),
        job.arguments(COMMAND, option -> false));
  }

  @Test
  void whatTheUserHasGivenIsLeftOut() throws IOException {
    BundledJob job = job("{\"epochs\": 3, \"seed\": 1}");
    assertEquals(
        List.of("--seed", "1"),
        job.arguments(COMMAND, option -> option.longestName().equals("--epochs")));
  }

  @Test
  void unknownSettingsAreNamed() throws IOException {
    BundledJob job = job("{\"epoch\": 3}");
    String message =
        assertThrows(IllegalArgumentException.class, () -> job.arguments(COMMAND, option -> false))
            .getMessage();
    assertTrue(message.contains("job.json") && message.contains("--epoch"), message);
  }

  @Test
  void saysWhereTheBundledJobIsWanted() {
    BundledJob job = new BundledJob(Path.of("absent", "job.json"));
    String message =
        assertThrows(IllegalArgumentException.class, () -> job.arguments(COMMAND, option -> false))
            .getMessage();
    assertTrue(message.startsWith("--model is missing"), message);
  }
}
