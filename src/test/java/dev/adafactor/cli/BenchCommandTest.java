package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchCommandTest {
  @TempDir Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path shapes;

  @BeforeEach
  void writeShapes() throws IOException {
    shapes = Files.writeString(folder.resolve("shapes.json"), "[[64, 10], [10]]");
  }

  private int run(String... arguments) {
    CommandLine commandLine = Main.commandLine();
    commandLine.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    List<String> all = new ArrayList<>(List.of("bench"));
    all.addAll(List.of(arguments));
    return commandLine.execute(all.toArray(String[]::new));
  }

  @Test
  void measuresItselfAndAPeerInTurns() throws IOException {
    Path json = folder.resolve("bench.json");
    assertEquals(
        0,
        run(
            "--shapes=" + shapes,
            "--rounds=3",
            "--steps=2",
            "--peers=framework_adam",
            "--profile",
            "--json=" + json),
        err::toString);
    String said = out.toString();
    assertTrue(said.startsWith("shapes.json: 2 variables, 650 parameters of float32, "), said);
    assertTrue(said.contains("framework_adam"), said);
    assertTrue(said.contains("Square"), said);

    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(2, report.get("runs").size());
    JsonNode own = report.at("/runs/0");
    JsonNode adam = report.at("/runs/1");
    assertTrue(own.get("peer").isNull());
    assertEquals("framework_adam", adam.get("peer").textValue());
    for (JsonNode run : report.get("runs")) {
      assertEquals(650 * 4, run.get("parameter_bytes").intValue());
      assertEquals(3, run.get("rounds_ms").size());
      assertTrue(run.get("min_ms").doubleValue() > 0);
      assertTrue(run.get("min_ms").doubleValue() <= run.get("median_ms").doubleValue());
      assertTrue(run.get("operations").intValue() > 0);
    }
    assertEquals(4 * (64 + 10 + 10) + 8 + 4, own.get("state_bytes").intValue());
    assertEquals(
        own.get("median_ms").doubleValue() / adam.get("median_ms").doubleValue(),
        adam.at("/ratio/of_medians").doubleValue(),
        1e-9);
    assertFalse(own.has("ratio"));
    assertTrue(report.get("profile").size() > 0);
  }

  @Test
  void measuresShardsBesideWholeVariables() throws IOException {
    Path json = folder.resolve("bench.json");
    assertEquals(
        0,
        run("--shapes=" + shapes, "--mesh=x=2,y=2", "--rounds=1", "--steps=1", "--json=" + json),
        err::toString);
    String said = out.toString();
    assertTrue(said.contains("unsharded"), said);
    assertTrue(said.contains("/device:CPU:3"), said);
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals("unsharded", report.at("/runs/1/peer").textValue());
    assertEquals("x=2,y=2", report.at("/mesh/dimensions").textValue());
    // r of 32, c of 5 and half of v, the first with the count of steps and the rate.
    assertEquals(4 * (32 + 5 + 5) + 8 + 4, report.at("/mesh/devices/0/state_bytes").intValue());
    assertEquals(4 * (32 + 5), report.at("/mesh/devices/3/state_bytes").intValue());
    assertEquals(
        report.at("/mesh/computed_sent_bytes").intValue(),
        report.at("/mesh/sent_bytes").intValue());
    assertTrue(report.at("/mesh/transfer_chain").intValue() > 0);
    assertTrue(report.at("/mesh/sent_signals").intValue() > 0);
  }

  @ParameterizedTest
  @CsvSource({
    "--numerics=tf_keras, numerics: tf_keras",
    "--variables=resource, variables: resource",
    "--jit-compile, jit_compile: always"
  })
  void saysWhatDoesNotGoWithAMesh(String option, String message) {
    assertEquals(2, run("--shapes=" + shapes, "--mesh=x=2", option));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(
        err.toString().contains("--mesh: " + message + " does not go with a mesh"), err.toString());
  }

  @Test
  void leavesOutWhatCannotBeHad() throws IOException {
    Path json = folder.resolve("bench.json");
    Path python = folder.resolve("no-python");
    assertEquals(
        0,
        run("--shapes=" + shapes, "--rounds=1", "--peer=" + python, "--json=" + json),
        err::toString);
    assertTrue(out.toString().startsWith("tf_keras is left out: "), out.toString());
    JsonNode report = new JsonMapper().readTree(json.toFile());
    assertEquals(1, report.get("runs").size());
    assertEquals("tf_keras", report.at("/left_out/0/peer").textValue());
  }

  @Test
  void drawsACurve() throws IOException {
    Path json = folder.resolve("curve.json");
    Path chart = folder.resolve("curve.png");
    assertEquals(
        0,
        run(
            "--curve=variables",
            "--up-to=10",
            "--rounds=1",
            "--steps=1",
            "--numerics=tf_keras",
            "--peers=framework_adam",
            "--json=" + json,
            "--chart=" + chart),
        err::toString);
    assertEquals(2, out.toString().lines().count(), out.toString());
    JsonNode points = new JsonMapper().readTree(json.toFile()).get("points");
    assertEquals(2, points.size());
    assertEquals(10, points.at("/1/place").intValue());
    assertEquals(10, points.at("/1/report/runs/0/variables").intValue());
    assertEquals("tf_keras", points.at("/1/report/settings/numerics").textValue());
    assertEquals(1000, ImageIO.read(chart.toFile()).getWidth());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--shapes=huge          | --shapes: 'huge' is neither a file nor one of small, big",
        "--peers=jax            | --peers: 'jax' is none of tf_keras, ",
        "--peers=torch          | --peers: 'torch' wants --peer PYTHON",
        "--peers=unsharded      | --peers: 'unsharded' wants --mesh",
        "--reductions=add_n     | --reductions is for --mesh, which is missing",
        "--reductions=add_n --mesh=batch=2 | --mesh batch=2 cuts no variable",
        "--mesh=batch=2         | --mesh batch=2 has neither x",
        "--mesh=2               | --mesh: '2' is no mesh",
        "--rounds=0             | 0 is no number of rounds",
        "--steps=-1             | -1 is no number of steps",
        "--rows=0               | 0 is no number of rows",
        "--threads=0            | --threads: 0 is no number of threads",
        "--up-to=5              | --up-to and --chart want --curve",
        "--json=.               | --json '.'"
      })
  void saysWhatIsWrongInOneLine(String options, String message) {
    List<String> arguments = new ArrayList<>(List.of(options.split(" +")));
    if (options.startsWith("--rows")) {
      arguments.add("--shapes=embedding");
    }
    assertEquals(2, run(arguments.toArray(String[]::new)));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains(message), err.toString());
  }

  @ParameterizedTest
  @CsvSource({"parameters, --shapes=small", "threads, --threads=1", "variables, --profile"})
  void refusesWhatDoesNotGoWithACurve(String curve, String option) {
    assertEquals(2, run("--curve=" + curve, option));
    String wanted = option.replaceFirst("=.*", "") + " does not go with --curve " + curve;
    assertTrue(err.toString().contains(wanted), err.toString());
  }
}
