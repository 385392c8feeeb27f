package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class CompareCommandTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    return new CommandLine(new CompareCommand())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  private static Path golden() throws URISyntaxException {
    return Path.of(CompareCommandTest.class.getResource("/goldens/cases/schedules.json").toURI());
  }

  @Test
  void replaysAndWritesTheResults() throws IOException, URISyntaxException {
    Path results = folder.resolve("results.json");
    int exit =
        run(
            "--cases",
            golden().toString(),
            "--numerics",
            "tf_keras",
            "--variables",
            "resource",
            "--results",
            results.toString());
    JsonNode recorded = JSON.readTree(golden().toFile()).get("cases");
    JsonNode computed = JSON.readTree(results.toFile());
    assertEquals("tf_keras", computed.at("/meta/numerics").textValue());
    assertEquals("resource", computed.at("/meta/variables").textValue());
    assertEquals(recorded.size(), computed.get("cases").size());
    assertEquals(recorded.at("/0/id"), computed.at("/cases/0/id"));
    assertEquals(recorded.at("/0/steps").size(), computed.at("/cases/0/steps").size());
    if (System.getProperty("os.arch").equals("amd64")) {
      assertEquals(recorded.at("/0/steps/3/var"), computed.at("/cases/0/steps/3/var"));
      assertTrue(
          out.toString()
              .contains(recorded.size() + " of " + recorded.size() + " cases are bit-equal"),
          out.toString());
    }
    assertEquals(0, exit, out + "" + err);
  }

  @Test
  void aWrongRecordingIsABadResult() throws IOException, URISyntaxException {
    JsonNode file = JSON.readTree(golden().toFile());
    ((ObjectNode) file.at("/cases/0/steps/1")).put("it", 12345);
    Path cases = folder.resolve("cases.json");
    JSON.writeValue(cases.toFile(), file);
    assertEquals(1, run("--cases", cases.toString()));
    String id = file.at("/cases/0/id").textValue();
    assertTrue(
        out.toString().contains(id + ": step 1, it: 2.0 instead of 12345.0"), out.toString());
  }

  @Test
  void aCaseThatCannotRunIsABadResultButTheOthersGoOn() throws IOException, URISyntaxException {
    JsonNode file = JSON.readTree(golden().toFile());
    ((ObjectNode) file.at("/cases/0/kwargs")).put("clipnorm", 1).put("global_clipnorm", 1);
    Path cases = folder.resolve("cases.json");
    JSON.writeValue(cases.toFile(), file);
    Path results = folder.resolve("results.json");
    assertEquals(1, run("--cases", cases.toString(), "--results", results.toString()));
    JsonNode computed = JSON.readTree(results.toFile()).get("cases");
    assertTrue(computed.at("/0/error").textValue().contains("clipnorm"));
    assertTrue(computed.at("/0/steps").isMissingNode());
    assertTrue(computed.at("/1/steps").isArray());
  }

  @Test
  void damageIsBadInput() throws IOException, URISyntaxException {
    String text = Files.readString(golden());
    Path cases = folder.resolve("cut.json");
    Files.writeString(cases, text.substring(0, text.length() / 2));
    Path results = folder.resolve("results.json");
    assertEquals(2, run("--cases", cases.toString(), "--results", results.toString()));
    assertTrue(err.toString().contains("cut.json"), err.toString());
    assertFalse(Files.exists(results));
  }

  @Test
  void badOptionsAreNamed() throws URISyntaxException {
    String cases = golden().toString();
    assertBad("--cases", "--cases", folder.resolve("none.json").toString());
    assertBad("'exact' is none of stable, tf_keras", "--cases", cases, "--numerics", "exact");
    assertBad("none of reference, resource", "--cases", cases, "--variables", "both");
    assertBad("--results", "--cases", cases, "--results", folder.toString());
    assertBad("--results", "--cases", cases, "--results", cases + "/results.json");
    assertBad("--cases");
    assertBad("--mesh: 'x=' is no mesh", "--cases", cases, "--mesh", "x=");
    assertBad("--mesh: the mesh x=99999", "--cases", cases, "--mesh", "x=99999");
    assertBad("--numerics stable", "--cases", cases, "--mesh", "x=2", "--numerics", "tf_keras");
    assertBad("--variables reference", "--cases", cases, "--mesh=x=2", "--variables=resource");
    assertBad("--reductions is for --mesh", "--cases", cases, "--reductions=add_n");
    assertBad("--mesh z=2 has neither x", "--cases", cases, "--mesh=z=2");
    assertBad("--mesh z=2 cuts no", "--cases", cases, "--mesh=z=2", "--reductions=collective");
  }

  @Test
  void aRecordingIsNeverOverwritten() throws IOException, URISyntaxException {
    Path cases = Files.copy(golden(), folder.resolve("cases.json"));
    Path link = Files.createSymbolicLink(folder.resolve("link.json"), cases);
    for (Path results : List.of(cases, link, folder.resolve("x/../cases.json"))) {
      assertBad("--results", "--cases", cases.toString(), "--results", results.toString());
    }
    assertEquals(-1, Files.mismatch(golden(), cases));
  }

  @Test
  void theReportIsAWholePage() throws IOException, URISyntaxException {
    Path report = folder.resolve("new/report.html");
    assertEquals(0, run("--cases", golden().toString(), "--report", report.toString()), "" + err);
    String page = Files.readString(report);
    assertTrue(page.startsWith("<!doctype html>"), page.substring(0, 20));
    assertTrue(page.endsWith("</html>"), "the page is cut");
    for (JsonNode recorded : JSON.readTree(golden().toFile()).get("cases")) {
      assertTrue(page.contains(recorded.get("id").toString()), recorded.get("id").toString());
    }
    try (Stream<Path> files = Files.list(report.getParent())) {
      assertEquals(List.of(report), files.toList());
    }
  }

  @Test
  void outputsMustNotMeet() throws IOException, URISyntaxException {
    String cases = golden().toString();
    String page = folder.resolve("page.html").toString();
    assertBad("--report", "--cases", cases, "--report", cases);
    assertBad("overlaps", "--cases", cases, "--report", page, "--results", page);
    assertBad(
        "--save-cases",
        "--python",
        "none",
        "--shapes",
        "3",
        "--save-cases",
        page,
        "--report",
        page);
    assertFalse(Files.exists(Path.of(page)));
  }

  @Test
  void whatIsComparedMustBeClear() throws URISyntaxException {
    assertBad("either --cases FILE");
    assertBad("either --cases FILE", "--cases", golden().toString(), "--python", "python3");
    assertBad("want --python", "--cases", golden().toString(), "--steps", "3");
    assertBad("--python wants --shapes", "--python", "python3");
    assertBad("'3y4' is no shape", "--python", "python3", "--shapes", "2,3y4");
    assertBad("called 'w'", "--python", "python3", "--shapes", "w=2,w=3");
    assertBad("called 'variable_1'", "--python", "python3", "--shapes", "2,variable_1=3");
    assertBad("--steps: 0", "--python", "python3", "--shapes", "2", "--steps", "0");
    assertBad("--seed: -1", "--python", "python3", "--shapes", "2", "--seed", "-1");
    assertBad("GiB", "--python", "python3", "--shapes", "40000x40000");
    assertBad("'int8' is none of", "--python", "python3", "--shapes", "2", "--dtype", "int8");
  }

  @Test
  void aBadConfigurationIsNamed() throws IOException {
    Path file = folder.resolve("config.json");
    assertBad("no such file", "--python", "python3", "--shapes", "2", "--config", file.toString());
    Files.writeString(
        file,
        "{\"learning_rate\": {\"class_name\": \"Noam\", \"config\": {},"
            + " \"registered_name\": \"mine>Noam\"}}");
    assertBad("'mine>Noam' is none of", "--python=python3", "--shapes=2", "--config=" + file);
    Files.writeString(file, "{\"clipnorm\": \"much\"}");
    assertBad("clipnorm", "--python", "python3", "--shapes", "2", "--config", file.toString());
    assertTrue(err.toString().contains(file.toString()), err.toString());
  }

  @Test
  void aPythonThatDoesNotRecordIsNamed() throws IOException {
    assertBad("'" + folder + "/python' is no program", python(), "--shapes", "2");
    script("echo a log line; echo 'has no tf_keras; this brings it' >&2; echo; exit 1");
    assertBad("python' has no tf_keras; this brings it", python(), "--shapes", "2");
    script("exit 3");
    assertBad("ended with exit status 3, without a word", python(), "--shapes", "2");
    script("exit 0");
    assertBad("left no result; is it a Python?", python(), "--shapes", "2");
  }

  private String python() {
    return "--python=" + folder.resolve("python");
  }

  /** Writes what stands for a Python. */
  private void script(String commands) throws IOException {
    Path file = folder.resolve("python");
    Files.writeString(file, "#!/bin/sh\n" + commands + "\n");
    assertTrue(file.toFile().setExecutable(true));
  }

  private void assertBad(String message, String... arguments) {
    err.getBuffer().setLength(0);
    assertEquals(2, run(arguments));
    assertTrue(err.toString().contains(message), err.toString());
  }
}
