package dev.adafactor.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.Adafactor;
import dev.adafactor.files.OutputPath;
import dev.adafactor.files.PythonJson;
import dev.adafactor.parity.CaseFile;
import dev.adafactor.parity.ElementType;
import dev.adafactor.parity.Recording;
import dev.adafactor.schedules.ScheduleRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Graph;
import picocli.CommandLine.Option;

/** Cases that a Python of the user's records on the spot: one for each configuration. */
final class RecordingOptions {
  private static final double LARGEST_RECORDING = 1L << 30;

  /** Gradient, variable, second moment and average. */
  private static final int TENSORS_A_STEP = 4;

  @Option(
      names = "--python",
      paramLabel = "PYTHON",
      description =
          "In place of --cases: have the tf_keras of this Python record cases now. It needs"
              + " tensorflow and tf_keras, 2.16 or newer.")
  private Optional<Path> python = Optional.empty();

  @Option(
      names = "--shapes",
      paramLabel = "[NAME=]SHAPE",
      split = ",",
      converter = NamedShape.Converter.class,
      description =
          "The variables, with commas between them: 64x10,10 or dense/kernel=64x10,dense/bias=10."
              + " Their values and gradients are random.")
  private List<NamedShape> shapes = List.of();

  @Option(
      names = "--config",
      paramLabel = "FILE.json",
      description =
          "A tf_keras configuration of Adafactor, as get_config() or serialize() gives it. A case"
              + " for each, if given several times. Default: every default of tf_keras.")
  private List<Path> configurations = List.of();

  @Option(
      names = "--dtype",
      paramLabel = "float32|float64|float16|bfloat16",
      converter = ConstantConverter.OfElementType.class,
      description = "Of the variables. Default: float32.")
  private Optional<ElementType> type = Optional.empty();

  @Option(names = "--steps", paramLabel = "N", description = "How many to take. Default: 10.")
  private Optional<Integer> steps = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of the values and gradients. Default: 1.")
  private Optional<Integer> seed = Optional.empty();

  @Option(
      names = "--save-cases",
      paramLabel = "FILE",
      description = "Keep what was recorded, as a file for --cases.")
  private Optional<Path> saved = Optional.empty();

  /** Whether anything is to be recorded. */
  boolean isAsked() {
    return python.isPresent();
  }

  /**
   * Checks what can be known before Python is started.
   *
   * @throws IllegalArgumentException if the options do not go together, or ask for too much
   */
  void check() {
    if (python.isEmpty()) {
      if (!shapes.isEmpty()
          || !configurations.isEmpty()
          || type.isPresent()
          || steps.isPresent()
          || seed.isPresent()
          || saved.isPresent()) {
        throw new IllegalArgumentException(
            "--shapes, --config, --dtype, --steps, --seed and --save-cases want --python PYTHON");
      }
      return;
    }
    if (shapes.isEmpty()) {
      throw new IllegalArgumentException(
          "--python wants --shapes, the variables to be trained, as --shapes 64x10,10");
    }
    if (steps() < 1) {
      throw new IllegalArgumentException("--steps: %d is no number of steps".formatted(steps()));
    }
    if (seed.orElse(0) < 0) {
      throw new IllegalArgumentException("--seed: %d is negative".formatted(seed.get()));
    }
    Set<String> names = new HashSet<>();
    for (int i = 0; i < shapes.size(); i++) {
      if (!names.add(name(i))) {
        throw new IllegalArgumentException(
            "--shapes: two variables are called '%s'".formatted(name(i)));
      }
    }
    double bytes =
        shapes.stream().mapToDouble(NamedShape::elements).sum()
            * type().bytes()
            * TENSORS_A_STEP
            * steps();
    if (bytes > LARGEST_RECORDING) {
      throw new IllegalArgumentException(
          "--shapes, --steps: that makes some %.1f GiB to record; up to %.0f are taken"
              .formatted(bytes / (1L << 30), LARGEST_RECORDING / (1L << 30)));
    }
  }

  /** All files that are read, with the options that name them. */
  List<Outputs.Input> inputs() {
    return configurations.stream().map(file -> new Outputs.Input("--config", file)).toList();
  }

  /** Where the recording is kept. */
  Optional<OutputPath> savedFile() {
    return saved.map(path -> new OutputPath("--save-cases", path, OutputPath.Kind.FILE));
  }

  /**
   * Records.
   *
   * @throws IOException if Python cannot do it; the message says why in one line
   */
  Recording record() throws IOException {
    byte[] specification = PythonJson.MAPPER.writeValueAsBytes(specification());
    try (PythonScripts scripts = new PythonScripts(python.orElseThrow())) {
      Path input = Files.write(scripts.file("specification.json"), specification);
      // Compressed if it is kept under such a name: the script looks at the name, too.
      boolean compressed = saved.isPresent() && saved.get().toString().endsWith(".gz");
      Path output = scripts.file(compressed ? "cases.json.gz" : "cases.json");
      try {
        scripts.run(
            "record_cases.py",
            List.of(
                "--cases",
                input.toString(),
                "--seed",
                String.valueOf(seed.orElse(1)),
                "--out",
                output.toString()),
            output);
      } catch (IOException e) {
        throw new IOException("--python: " + e.getMessage(), e);
      }
      Optional<OutputPath> kept = savedFile();
      if (kept.isPresent()) {
        WholeFile.write(kept.get(), out -> Files.copy(output, out));
      }
      return CaseFile.read(output);
    }
  }

  private ObjectNode specification() throws IOException {
    ObjectNode specification = PythonJson.MAPPER.createObjectNode();
    ArrayNode cases = specification.putArray("cases");
    if (configurations.isEmpty()) {
      addCase(cases, "defaults", PythonJson.MAPPER.createObjectNode());
    }
    Set<String> ids = new HashSet<>();
    for (Path path : configurations) {
      String id = path.getFileName().toString().replaceFirst("\\.json$", "");
      addCase(cases, ids.add(id) ? id : path.toString(), arguments(path));
    }
    return specification;
  }

  private void addCase(ArrayNode cases, String id, JsonNode arguments) {
    ObjectNode node = cases.addObject().put("id", id);
    node.set("kwargs", arguments);
    ArrayNode variables = node.putArray("vars");
    for (int i = 0; i < shapes.size(); i++) {
      ObjectNode variable = variables.addObject().put("name", name(i)).put("dtype", type().label());
      shapes.get(i).shape().forEach(variable.putArray("shape")::add);
    }
    node.put("steps", steps());
  }

  /** The constructor's arguments, of a configuration that Java's optimizer takes, too. */
  private static JsonNode arguments(Path path) throws IOException {
    ConfigurationFile file = new ConfigurationFile("--config", path);
    String json = file.json();
    try (Graph graph = new Graph()) {
      Adafactor.fromConfig(graph, json).build();
    } catch (IllegalArgumentException e) {
      throw file.failure(
          foreignSchedule(json)
              .map(
                  name ->
                      new IllegalArgumentException(
                          ("the schedule '%s' is none of tf_keras's own, and only those can be"
                                  + " recorded: %s")
                              .formatted(
                                  name, String.join(", ", ScheduleRegistry.standard().names())),
                          e))
              .orElse(e));
    }
    return arguments(PythonJson.MAPPER.readTree(json));
  }

  private static JsonNode arguments(JsonNode whole) {
    return whole.path("config").isObject() ? whole.get("config") : whole;
  }

  /** The name of a schedule that the Python which records would not know. */
  private static Optional<String> foreignSchedule(String json) {
    try {
      JsonNode rate = arguments(PythonJson.MAPPER.readTree(json)).path("learning_rate");
      return rate.isObject()
          ? ScheduleRegistry.standard().unknown(PythonJson.MAPPER.convertValue(rate, Map.class))
          : Optional.empty();
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }

  private String name(int index) {
    return shapes.get(index).name().orElse("variable_" + (index + 1));
  }

  private ElementType type() {
    return type.orElse(ElementType.FLOAT32);
  }

  private int steps() {
    return steps.orElse(10);
  }
}
