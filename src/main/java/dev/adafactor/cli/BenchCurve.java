package dev.adafactor.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.bench.Curve;
import dev.adafactor.bench.ShapeFile;
import dev.adafactor.bench.ShapeSet;
import dev.adafactor.files.OutputPath;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * The command {@code bench} in several places, each in a process of its own: what one leaves in
 * memory is none of the next one's business, and where memory does not suffice no other result is
 * lost.
 *
 * @param points the places that were measured, one or more
 */
record BenchCurve(Curve curve, List<Point> points) {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private static final Set<String> OF_THE_CURVE = Set.of("--curve", "--up-to", "--chart", "--json");

  private static final String SHAPES = "shapes.json";
  private static final String RESULT = "result.json";
  private static final String LOG = "log.txt";

  /** What {@code bench --json} writes, at a place. */
  record Point(long place, JsonNode report) {}

  /**
   * Measures.
   *
   * @param most places after it are left out
   * @param parsed the options, which go for each place, too
   * @param out told of each place
   * @throws IllegalArgumentException if an option does not go with the curve
   * @throws IOException if nothing can be measured
   */
  static BenchCurve measure(Curve curve, long most, ParseResult parsed, PrintWriter out)
      throws IOException {
    for (String option : List.of(varied(curve), "--profile")) {
      if (parsed.hasMatchedOption(option)) {
        throw new IllegalArgumentException(
            "%s does not go with --curve %s".formatted(option, ConstantConverter.label(curve)));
      }
    }
    List<Long> places = curve.places().stream().filter(place -> place <= most).toList();
    if (places.isEmpty()) {
      throw new IllegalArgumentException(
          "--up-to: %d is before the first place, %d".formatted(most, curve.places().get(0)));
    }
    Path folder = Files.createTempDirectory("adafactor-curve-");
    List<Point> points = new ArrayList<>();
    try {
      for (long place : places) {
        Optional<JsonNode> report = measure(curve, place, parsed, folder, out);
        if (report.isEmpty()) {
          break;
        }
        points.add(new Point(place, report.get()));
      }
    } finally {
      for (String name : List.of(SHAPES, RESULT, LOG)) {
        Files.deleteIfExists(folder.resolve(name));
      }
      Files.deleteIfExists(folder);
    }
    if (points.isEmpty()) {
      throw new IOException("nothing was measured");
    }
    return new BenchCurve(curve, points);
  }

  private static Optional<JsonNode> measure(
      Curve curve, long place, ParseResult parsed, Path folder, PrintWriter out)
      throws IOException {
    List<String> command = program();
    command.add("bench");
    Optional<ShapeSet> shapes = curve.shapes(place);
    parsed.matchedOptions().stream()
        .filter(option -> !OF_THE_CURVE.contains(option.longestName()))
        .forEach(option -> command.addAll(words(option)));
    if (shapes.isPresent()) {
      Files.writeString(folder.resolve(SHAPES), ShapeFile.text(shapes.get()));
      command.addAll(List.of("--shapes", folder.resolve(SHAPES).toString()));
    } else {
      command.addAll(List.of("--threads", Long.toString(place)));
    }
    Path result = folder.resolve(RESULT);
    command.addAll(List.of("--json", result.toString()));
    Files.deleteIfExists(result);
    Path log = folder.resolve(LOG);
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    int status;
    try (AtExit.Registration registered = AtExit.register(process::destroyForcibly)) {
      process.getOutputStream().close();
      status = process.waitFor();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    if (status != 0) {
      out.printf("%,d %s: %s%n", place, curve.title(), lastWords(log, status));
      out.flush();
      return Optional.empty();
    }
    JsonNode report = JSON.readTree(result.toFile());
    out.println("%,d %s: %s".formatted(place, curve.title(), summary(report)));
    out.flush();
    return Optional.of(report);
  }

  /** The option that each place has a value of its own for. */
  private static String varied(Curve curve) {
    return curve == Curve.THREADS ? "--threads" : "--shapes";
  }

  private static List<String> program() {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    return command;
  }

  private static List<String> words(OptionSpec option) {
    if (option.arity().max() == 0) {
      return List.of(option.longestName());
    }
    return option.originalStringValues().stream()
        .map(value -> option.longestName() + "=" + value)
        .toList();
  }

  private static String lastWords(Path log, int status) throws IOException {
    return new String(Files.readAllBytes(log), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.isBlank())
        .reduce((earlier, later) -> later)
        .map(Printable::of)
        .orElse("ended with exit status " + status);
  }

  /** A name of the run for people. */
  static String name(JsonNode run) {
    return run.hasNonNull("peer") ? run.get("peer").textValue() : "adafactor";
  }

  private static String summary(JsonNode report) {
    List<String> runs = new ArrayList<>();
    for (JsonNode run : report.get("runs")) {
      runs.add("%s %.3f ms".formatted(name(run), run.get("median_ms").doubleValue()));
    }
    return String.join(", ", runs);
  }

  /** Writes an object with what {@code bench --json} writes for each place. */
  void write(OutputPath file) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", 1);
    root.put("curve", ConstantConverter.label(curve));
    ArrayNode all = root.putArray("points");
    for (Point point : points) {
      all.addObject().put("place", point.place()).set("report", point.report());
    }
    WholeFile.write(file, out -> out.write(JSON.writeValueAsBytes(root)));
  }
}
