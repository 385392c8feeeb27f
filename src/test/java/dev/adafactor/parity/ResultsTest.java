package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ResultsTest {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  @Test
  void writesTheStructureOfACaseFile() throws IOException {
    Values matrix = float32(1, 2);
    State state =
        new State(
            List.of(
                new VariableState(
                    matrix,
                    float32(3, 4),
                    Optional.of(float32(5, 6)),
                    Optional.of(float32(7)),
                    Optional.of(float32(8, 9))),
                new VariableState(
                    float32(1),
                    float32(2),
                    Optional.empty(),
                    Optional.empty(),
                    Optional.of(float32(3)))),
            12,
            Values.of(0.1f));
    Case sample = Samples.vector("ran", Optional.empty());
    Case input =
        new Case(
            "ran",
            sample.tags(),
            sample.settings(),
            sample.exclusion(),
            List.of(
                new CaseVariable("w", List.of(2L, 1L), ElementType.FLOAT32, matrix),
                new CaseVariable("s", List.of(), ElementType.FLOAT32, float32(1))),
            0,
            sample.steps(),
            Optional.empty());
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    Results.write(
        file,
        Map.of("numerics", "stable"),
        List.of(
            new Replayed(
                input,
                new Outcome.Completed(new Trajectory(List.of(state), List.of(matrix, float32(1))))),
            new Replayed(Samples.vector("broken", Optional.empty()), new Outcome.Failed("why"))));
    JsonNode expected =
        JSON.readTree(
            """
            {"meta": {"numerics": "stable", "n_cases": 2}, "cases": [
              {"id": "ran",
               "vars": [{"name": "w", "shape": [2, 1], "dtype": "float32"},
                        {"name": "s", "shape": [], "dtype": "float32"}],
               "steps": [{
                 "var": ["AACAPwAAAEA=", "AACAPw=="], "v": ["AABAQAAAgEA=", "AAAAQA=="],
                 "r": ["AACgQAAAwEA=", null], "c": ["AADgQA==", null],
                 "ema": ["AAAAQQAAEEE=", "AABAQA=="], "it": 12, "lr": 0.10000000149011612}],
               "final": ["AACAPwAAAEA=", "AACAPw=="]},
              {"id": "broken", "vars": [{"name": "w", "shape": [2], "dtype": "float32"}],
               "error": "why"}]}
            """);
    assertEquals(expected, JSON.readTree(file.toByteArray()));
  }

  @Test
  void nanIsWrittenAsPythonReadsIt() throws IOException {
    State state =
        new State(
            Samples.trajectory(float32(1, 1)).states().get(0).variables(), 1, Values.of(Float.NaN));
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    Results.write(
        file,
        Map.of(),
        List.of(
            new Replayed(
                Samples.vector("nan", Optional.empty()),
                new Outcome.Completed(new Trajectory(List.of(state), List.of(float32(1, 1)))))));
    assertEquals(
        Double.NaN, JSON.readTree(file.toByteArray()).at("/cases/0/steps/0/lr").doubleValue());
    assertEquals(false, file.toString(UTF_8).contains("ema"));
  }
}
