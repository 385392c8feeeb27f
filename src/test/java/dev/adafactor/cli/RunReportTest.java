package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.adafactor.files.OutputPath;
import dev.adafactor.finetune.Digits;
import dev.adafactor.finetune.EarlyStopping;
import dev.adafactor.finetune.Evaluation;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.FineTuningResult;
import dev.adafactor.finetune.FineTuningResult.Ending;
import dev.adafactor.finetune.Loss;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunReportTest {
  @TempDir static Path folder;

  private static JsonNode document;
  private static Schema schema;

  /** One that takes nothing that it does not describe. */
  private static Schema strict;

  private static FineTuningResult result;

  @BeforeAll
  static void train() throws IOException {
    try (InputStream file = RunReport.class.getResourceAsStream("run-report.schema.json")) {
      document = new JsonMapper().readTree(file);
    }
    JsonNode closed = document.deepCopy();
    objects(closed).forEach(object -> object.put("additionalProperties", false));
    schema = schema(document);
    strict = schema(closed);
    result =
        FineTuning.builder(Digits.MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .features(Digits.TEST_IMAGES)
            .labels(Digits.TEST_LABELS)
            .validationSplit(0.5)
            .freeze("conv_1/")
            .earlyStopping(new EarlyStopping(1, EarlyStopping.Monitor.LOSS, 0))
            .export(folder.resolve("trained"))
            .build()
            .run();
  }

  private static Schema schema(JsonNode of) {
    return SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12).getSchema(of);
  }

  /** What describes objects, at any depth. */
  private static List<ObjectNode> objects(JsonNode of) {
    List<ObjectNode> objects = new ArrayList<>();
    if (of.has("properties")) {
      objects.add((ObjectNode) of);
    }
    of.forEach(each -> objects.addAll(objects(each)));
    return objects;
  }

  private static JsonNode report(FineTuningResult of) throws IOException {
    Path file = folder.resolve("report.json");
    RunReport.write(of, new OutputPath("--json", file, OutputPath.Kind.FILE));
    return new JsonMapper().readTree(file.toFile());
  }

  /** The result of a job that resumed after its last step, was interrupted, and has no accuracy. */
  private static FineTuningResult withoutWhatIsOptional() {
    return new FineTuningResult(
        result.plan(),
        List.of(),
        List.of(),
        Optional.of(new Evaluation(Double.NaN, OptionalDouble.empty(), 7)),
        Optional.empty(),
        OptionalInt.empty(),
        Ending.INTERRUPTED,
        result.timings(),
        Optional.empty());
  }

  @Test
  void isAsTheSchemaHasIt() throws IOException {
    for (FineTuningResult each : List.of(result, withoutWhatIsOptional())) {
      assertEquals(List.of(), schema.validate(report(each)));
      assertEquals(List.of(), strict.validate(report(each)), "all is described");
    }
  }

  @Test
  void everythingIsDescribed() {
    int described = 0;
    for (ObjectNode object : objects(document)) {
      JsonNode properties = object.get("properties");
      for (String name : (Iterable<String>) properties::fieldNames) {
        assertFalse(properties.at("/" + name + "/description").asText().isBlank(), name);
        described++;
      }
    }
    assertTrue(described > 30, "described " + described);
  }

  @Test
  void holdsWhatTheJobCameTo() throws IOException {
    JsonNode report = report(result);
    assertEquals(result.steps().size(), report.get("losses").size());
    assertEquals(result.steps().get(3).loss(), report.get("losses").get(3).doubleValue());
    assertEquals(
        result.after().orElseThrow().accuracy().orElseThrow(),
        report.at("/metrics/after/accuracy").doubleValue());
    assertEquals(2, report.at("/variables/frozen").intValue());
    assertTrue(report(withoutWhatIsOptional()).at("/metrics/before/loss").isNull());
  }

  @Test
  void theSchemaLeavesNothingOut() throws IOException {
    JsonNode report = report(result);
    for (String name : (Iterable<String>) report::fieldNames) {
      ObjectNode without = report.deepCopy();
      without.remove(name);
      assertFalse(schema.validate(without).isEmpty(), name);
      ObjectNode other = report.deepCopy();
      other.putArray(name).add("something else");
      assertFalse(schema.validate(other).isEmpty(), name);
    }
    ((ObjectNode) report.get("timings")).put("more", 1);
    assertEquals(List.of(), schema.validate(report), "a later release may write more");
    assertFalse(strict.validate(report).isEmpty());
  }
}
