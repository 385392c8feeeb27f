package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Numerics;
import dev.adafactor.parity.CaseFile;
import dev.adafactor.parity.ComparedRun;
import dev.adafactor.parity.Comparison;
import dev.adafactor.parity.Host;
import dev.adafactor.parity.Recording;
import dev.adafactor.parity.Replay;
import dev.adafactor.parity.Replayed;
import dev.adafactor.parity.Requirement;
import dev.adafactor.parity.VariableKind;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportPageTest {
  private static final Pattern DATA =
      Pattern.compile(
          "<script type=\"application/json\" id=\"data\">(.*?)</script>", Pattern.DOTALL);

  @TempDir Path folder;

  private static String golden(String suite) throws IOException, URISyntaxException {
    return Files.readString(
        Path.of(ReportPageTest.class.getResource("/goldens/cases/" + suite + ".json").toURI()));
  }

  /** The page of a case file, replayed with numerics that are not bit-equal. */
  private String page(String cases) throws IOException {
    Recording recording = CaseFile.read(Files.writeString(folder.resolve("cases.json"), cases));
    Replay replay = new Replay(Numerics.STABLE, VariableKind.REFERENCE, new Host.ThisProcess());
    Comparison comparison = new Comparison(Requirement.WITHIN_ROUNDING);
    List<ComparedRun> runs = new ArrayList<>();
    for (var input : recording.cases()) {
      Replayed replayed = replay.replay(input);
      runs.add(ComparedRun.of(replayed, comparison.add(replayed)));
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    new ReportPage(
            "case",
            List.of(new ReportPage.Facts("Recorded", recording.versions())),
            new ReportPage.Expectation("some", OptionalDouble.of(8)),
            runs)
        .writeTo(out);
    return out.toString(StandardCharsets.UTF_8);
  }

  private static JsonNode data(String page) throws IOException {
    Matcher matcher = DATA.matcher(page);
    assertTrue(matcher.find(), "no data");
    return new JsonMapper().readTree(matcher.group(1));
  }

  @Test
  void holdsEveryCaseWithItsCourses() throws Exception {
    String cases = golden("ema");
    JsonNode recorded = new JsonMapper().readTree(cases).get("cases");
    JsonNode data = data(page(cases));
    assertEquals(recorded.size(), data.get("runs").size());
    for (int i = 0; i < recorded.size(); i++) {
      JsonNode original = recorded.get(i);
      JsonNode run = data.get("runs").get(i);
      assertEquals(original.get("id"), run.get("id"));
      assertEquals(original.get("kwargs"), run.get("settings"));
      assertEquals(original.get("steps").size(), run.get("steps").intValue());
      for (JsonNode course : run.get("courses")) {
        assertEquals(original.get("steps").size(), course.at("/rms/recorded").size());
        for (JsonNode element : course.get("elements")) {
          assertEquals(original.get("steps").size(), element.get("recorded").size());
        }
      }
      JsonNode rates = course(run, "lr").at("/elements/0/recorded");
      for (int step = 0; step < rates.size(); step++) {
        assertEquals(
            original.at("/steps/" + step + "/lr").floatValue(), rates.get(step).floatValue());
      }
    }
    assertEquals(8, data.at("/requirement/scale_ulps").intValue());
    assertEquals("2.18.0", data.at("/facts/0/entries/tf_keras").textValue());
  }

  private static JsonNode course(JsonNode run, String quantity) {
    return StreamSupport.stream(run.get("courses").spliterator(), false)
        .filter(course -> course.get("quantity").textValue().equals(quantity))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void numbersThatAreNotFiniteAreText() throws Exception {
    JsonNode data = data(page(golden("gradients")));
    List<String> standings = data.get("runs").findValuesAsText("standing");
    assertTrue(standings.contains("not_finite"), standings.toString());
    assertTrue(data.toString().contains("\"NaN\""));
    assertFalse(data.toString().matches("(?s).*[\\[:,]-?(NaN|Infinity).*"));
  }

  @Test
  void whatComesFromAFileIsNeverMarkup() throws Exception {
    String hostile = "</script><script>alert(1)</script><!--<script>{{js}}$1\\u2028&amp;";
    String cases =
        golden("weight_decay")
            .replaceFirst(
                "\"id\":\\s*\"[^\"]*\"", Matcher.quoteReplacement("\"id\":\"" + hostile + "\""));
    String page = page(cases);
    String expected = new JsonMapper().readTree("\"" + hostile + "\"").textValue();
    assertEquals(expected, data(page).at("/runs/0/id").textValue());
    assertFalse(page.contains("<script>alert"), "markup of a file is in the page");
    // One for the data, one for the script, as in the template.
    assertEquals(2, Pattern.compile("</script").matcher(page).results().count());
    assertEquals(2, Pattern.compile("<script").matcher(page).results().count());
  }

  @Test
  void needsNothingFromElsewhere() throws Exception {
    String page = DATA.matcher(page(golden("weight_decay"))).replaceFirst("");
    assertTrue(page.contains("default-src 'none'"));
    for (String link : List.of("src=", "href=", "url(", "@import", "fetch(", "innerHTML")) {
      assertFalse(page.contains(link), link);
    }
    // The only address is the name of the namespace that SVG elements are made in.
    assertEquals(
        List.of("http://www.w3.org/2000/svg"),
        Pattern.compile("https?://[^\"' ]+").matcher(page).results().map(m -> m.group()).toList());
    assertFalse(page.contains("{{"), "a placeholder is left");
  }

  @Test
  void aFactMayHoldAnything() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    new ReportPage(
            "case",
            List.of(new ReportPage.Facts("<b>", Map.of("</script>", "{{css}}"))),
            new ReportPage.Expectation("all", OptionalDouble.empty()),
            List.of())
        .writeTo(out);
    JsonNode data = data(out.toString(StandardCharsets.UTF_8));
    assertEquals("{{css}}", data.at("/facts/0/entries").get("</script>").textValue());
    assertTrue(data.at("/requirement/scale_ulps").isMissingNode());
  }
}
