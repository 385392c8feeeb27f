package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.Elements;
import dev.adafactor.Numerics;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.Mode;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;

/**
 * A job as the scripts of {@code src/test/python} describe it: done here and by Python's tf_keras,
 * and the two held against each other. {@code export_models.py} says what the file holds.
 */
public record PythonJob(Path file, JsonNode json) {
  /** Of the way that tf_keras moved a variable: how far from there it may end here. */
  private static final double WEIGHTS = 0.01;

  private static final double LOSSES = 1e-4;
  private static final double PREDICTIONS = 1e-5;

  /** Reads what a script wrote. */
  public static PythonJob read(Path file) throws IOException {
    return new PythonJob(file, new JsonMapper().readTree(file.toFile()));
  }

  /** Has tf_keras do the jobs. */
  static void trainInPython(List<PythonJob> jobs) throws IOException, InterruptedException {
    Python.run("train_savedmodel.py", jobs.stream().map(PythonJob::file).toArray());
  }

  /** Has Python load what was exported. */
  static void checkInPython(List<PythonJob> jobs) throws IOException, InterruptedException {
    Python.run("check_export.py", jobs.stream().map(PythonJob::file).toArray());
  }

  String name() {
    return file.getFileName().toString().replaceFirst("\\.json$", "");
  }

  /** Where the trained model is exported to. */
  Path trained() {
    return sibling("-trained");
  }

  private Path sibling(String ending) {
    return file.resolveSibling(name() + ending);
  }

  private Path path(JsonNode relative) {
    return file.resolveSibling(relative.textValue());
  }

  private String text(String field) {
    return json.get(field).textValue();
  }

  private Optional<String> output() {
    return Optional.ofNullable(text("output"));
  }

  private Map<String, Path> features() {
    Map<String, Path> features = new LinkedHashMap<>();
    json.get("features")
        .properties()
        .forEach(feature -> features.put(feature.getKey(), path(feature.getValue())));
    return features;
  }

  private List<String> excluded() {
    return StreamSupport.stream(json.get("exclude").spliterator(), false)
        .map(JsonNode::textValue)
        .toList();
  }

  /** The job in Java, with an export to {@link #trained()}. */
  FineTuning.Builder builder() {
    FineTuning.Builder builder =
        FineTuning.builder(path(json.get("model")), Loss.of(text("loss")))
            .signature(text("signature"))
            .mode(Mode.valueOf(text("mode").toUpperCase(Locale.ROOT)))
            .labels(path(json.get("labels")))
            .batchSize(json.get("batch_size").intValue())
            .inFileOrder()
            .optimizer(this::optimizer)
            .export(trained());
    features().forEach(builder::features);
    output().ifPresent(builder::output);
    if (json.get("from_logits").booleanValue()) {
      builder.fromLogits();
    }
    return builder;
  }

  private Adafactor optimizer(Graph graph) {
    Adafactor.Builder builder =
        Adafactor.fromConfig(graph, json.get("optimizer").toString())
            .numerics(Numerics.valueOf(text("numerics").toUpperCase(Locale.ROOT)));
    if (!excluded().isEmpty()) {
      builder.excludeFromWeightDecay(excluded().toArray(String[]::new));
    }
    return builder.build();
  }

  /** The options of {@code fine-tune} that stand for the same; files of its own come from it. */
  public List<String> options() throws IOException {
    List<String> options = new ArrayList<>();
    options.add("--model=" + path(json.get("model")));
    options.add("--signature=" + text("signature"));
    options.add("--mode=" + text("mode"));
    options.add("--loss=" + text("loss"));
    if (json.get("from_logits").booleanValue()) {
      options.add("--from-logits");
    }
    features().forEach((input, path) -> options.add("--features=" + input + "=" + path));
    options.add("--labels=" + path(json.get("labels")));
    output().ifPresent(name -> options.add("--output-name=" + name));
    options.add("--batch-size=" + json.get("batch_size"));
    options.add("--no-shuffle");
    options.add(
        "--optimizer="
            + Files.writeString(sibling("-optimizer.json"), json.get("optimizer").toString()));
    excluded().forEach(regex -> options.add("--exclude-from-weight-decay=" + regex));
    options.add("--numerics=" + text("numerics"));
    options.add("--export=" + trained());
    options.add("--json=" + report());
    return options;
  }

  private Path report() {
    return sibling("-report.json");
  }

  /** The losses of the steps, as the program wrote them. */
  double[] reportedLosses() throws IOException {
    return doubles(new JsonMapper().readTree(report().toFile()).get("losses"));
  }

  private JsonNode check() throws IOException {
    return new JsonMapper().readTree(sibling("-check.json").toFile());
  }

  /**
   * Asserts that the export's variables are where tf_keras ends with the same batches, and that the
   * losses were the same on the way. To be called after {@link #checkInPython}.
   */
  void assertStaysWithTfKeras(double[] losses) throws IOException {
    JsonNode check = check();
    double[] expected = doubles(check.get("losses"));
    assertEquals(expected.length, losses.length);
    double worstLoss = 0;
    for (int step = 0; step < losses.length; step++) {
      worstLoss = Math.max(worstLoss, Math.abs(losses[step] - expected[step]));
    }
    double worst = 0;
    String worstName = "";
    int moved = 0;
    List<String> undetermined = new ArrayList<>();
    List<String> failures = new ArrayList<>();
    for (JsonNode variable : check.get("variables")) {
      String name = variable.get("name").textValue();
      double way = variable.get("moved").doubleValue();
      double apart = variable.get("apart").doubleValue();
      if (isUndetermined(name)) {
        undetermined.add(name);
        if (variable.get("noise").doubleValue() <= WEIGHTS * way) {
          failures.add(name + ": tf_keras does not part from itself, after all");
        }
      } else if (way == 0) {
        if (apart != 0) {
          failures.add(name + " is changed, and not by tf_keras");
        }
      } else {
        moved++;
        if (apart / way > worst) {
          worst = apart / way;
          worstName = name;
        }
        if (!(apart <= WEIGHTS * way)) {
          failures.add("%s is off by %.3g%% of its way".formatted(name, 100 * apart / way));
        }
      }
    }
    System.out.printf(
        "%-20s %d steps beside tf_keras: losses within %.1e, %d variables within %.4f%% of their"
            + " way (%s)%s%n",
        name(),
        losses.length,
        worstLoss,
        moved,
        100 * worst,
        worstName,
        undetermined.isEmpty() ? "" : ", but for " + undetermined);
    assertEquals(List.of(), failures);
    assertTrue(moved > 0, "no variable moved");
    assertTrue(worstLoss < LOSSES, "losses differ by " + worstLoss);
  }

  private boolean isUndetermined(String variable) {
    String regex = text("undetermined");
    return regex != null && Pattern.compile(regex).matcher(variable).find();
  }

  /** Asserts that Python predicts with the export what Java predicts with it. */
  void assertPythonPredictsTheSame() throws IOException {
    double[] here = predictions();
    double largest = Arrays.stream(here).map(Math::abs).max().orElseThrow();
    JsonNode predictions = check().get("predictions");
    assertFalse(predictions.isEmpty());
    for (Map.Entry<String, JsonNode> loader : predictions.properties()) {
      double[] python = doubles(loader.getValue());
      assertEquals(python.length, here.length, loader.getKey());
      double worst = 0;
      for (int i = 0; i < here.length; i++) {
        worst = Math.max(worst, Math.abs(here[i] - python[i]));
      }
      assertTrue(
          worst <= PREDICTIONS * largest,
          "%s: predictions differ by %s; the largest is %s"
              .formatted(loader.getKey(), worst, largest));
    }
  }

  private double[] predictions() throws IOException {
    List<Tensor> batches = new ArrayList<>();
    try (TrainableModel model = TrainableModel.load(trained(), text("signature"))) {
      Session.Runner runner = model.session().runner();
      for (Map.Entry<String, Path> feature : features().entrySet()) {
        NpyFile data = NpyFile.open(feature.getValue());
        Output<?> input = model.inputs().get(feature.getKey());
        Column column = Column.of(feature.getKey(), data, input.dataType(), input.shape());
        int[] rows = BatchOrder.inFileOrder((int) data.rows(), (int) data.rows()).epoch(0).get(0);
        Tensor batch = column.batch(rows);
        batches.add(batch);
        runner.feed(input, batch);
      }
      Map<String, Output<?>> outputs = model.inference().outputs();
      String name = output().orElseGet(() -> outputs.keySet().iterator().next());
      try (Result fetched = runner.fetch(outputs.get(name)).run()) {
        return Elements.copy(fetched.get(0));
      }
    } finally {
      batches.forEach(Tensor::close);
    }
  }

  private static double[] doubles(JsonNode numbers) {
    return StreamSupport.stream(numbers.spliterator(), false)
        .mapToDouble(JsonNode::doubleValue)
        .toArray();
  }
}
