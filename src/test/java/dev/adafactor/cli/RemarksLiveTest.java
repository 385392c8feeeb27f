package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What fine-tune says of models that are not as its user may think. */
@Tag("live")
class RemarksLiveTest extends ProgramFixture {
  @TempDir static Path models;

  @BeforeAll
  static void export() throws Exception {
    Python.run("export_remarks.py", models);
  }

  private void fineTune(String model, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "fine-tune",
                "--model=" + models.resolve(model),
                "--features=" + models.resolve(model + "-x.npy"),
                "--labels=" + models.resolve(model + "-labels.npy"),
                "--loss=sparse-categorical-crossentropy",
                "--epsilon-1=1e-16",
                "--batch-size=8"));
    arguments.addAll(List.of(more));
    assertEquals(0, run(arguments), err::toString);
  }

  @Test
  void masksThatAreNotThere() {
    List<LogRecord> log = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord event) {
            log.add(event);
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("dev.adafactor.finetune");
    logger.addHandler(handler);
    try {
      fineTune("tagger");
    } finally {
      logger.removeHandler(handler);
    }
    assertEquals(1, log.size());
    assertTrue(log.get(0).getMessage().startsWith("Masked positions"), log.get(0)::getMessage);
    assertEquals(List.of("words"), log.get(0).getParameters()[0]);
  }

  @Test
  void variablesWithoutAPartInTheLoss() {
    fineTune("heads", "--output-name=kind");
    assertTrue(
        out.toString().contains("Training 4 variables, 2 without a part in the loss, on 32"),
        out::toString);
  }

  /** Python did 8 steps, two epochs; here is the third. */
  @Test
  void aJobThatPythonBegan() throws IOException {
    Path json = folder.resolve("run.json");
    Path chart = folder.resolve("chart.png");
    fineTune(
        "begun",
        "--learning-rate=0.01",
        "--epochs=3",
        "--checkpoint=" + models.resolve("begun-checkpoints"),
        "--resume",
        "--json=" + json,
        "--chart=" + chart);
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(9, report.get("first_step").intValue());
    assertEquals(4, report.get("losses").size());
    assertEquals(1, report.at("/metrics/epochs").size());
    assertTrue(Files.size(chart) > 0);
  }
}
