package dev.adafactor.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.savedmodel.UncheckedGradients;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.StreamSupport;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Constant;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TString;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The process that looks at what {@code odd_models.py} exported, one model after the other. It
 * writes what became of each into a file, so that a crash can be told from everything else.
 */
final class OddModels {
  /** What became of a model. */
  enum Fate {
    /** It is being looked at; the last word if the process ends. */
    BEGUN,
    /** Its gradients are Python's, and the program trained it or said in one line why not. */
    TRAINED,
    /** It was refused in one line. */
    REFUSED,
    /** Anything else. */
    BAD
  }

  private static final int MOST_SECONDS = 60;
  private static final double TOLERANCE = 1e-6;

  private final Path folder;
  private final String name;
  private final JsonNode expected;

  private OddModels(Path folder, String name) throws IOException {
    this.folder = folder;
    this.name = name;
    this.expected = new ObjectMapper().readTree(folder.resolve(name + ".json").toFile());
  }

  /**
   * Looks at models.
   *
   * @param arguments the folder of the models, the file for the results, the models' names
   */
  public static void main(String[] arguments) throws Exception {
    NativeEnvironment.prepare();
    NativeEnvironment.loadTensorFlow();
    Path folder = Path.of(arguments[0]);
    Path results = Path.of(arguments[1]);
    for (int i = 2; i < arguments.length; i++) {
      String name = arguments[i];
      write(results, name, Fate.BEGUN, "");
      CountDownLatch done = new CountDownLatch(1);
      Thread watch = new Thread(() -> endHanging(done, results, name));
      watch.setDaemon(true);
      watch.start();
      try {
        String refusal = new OddModels(folder, name).look();
        write(results, name, refusal.isEmpty() ? Fate.TRAINED : Fate.REFUSED, refusal);
      } catch (AssertionError e) {
        write(results, name, Fate.BAD, e.getMessage());
      } catch (Exception e) {
        StringWriter trace = new StringWriter();
        e.printStackTrace(new PrintWriter(trace));
        write(results, name, Fate.BAD, trace.toString());
      }
      done.countDown();
    }
  }

  private static void endHanging(CountDownLatch done, Path results, String name) {
    try {
      if (!done.await(MOST_SECONDS, TimeUnit.SECONDS)) {
        write(results, name, Fate.BAD, "it hangs");
        Runtime.getRuntime().halt(1);
      }
    } catch (InterruptedException | IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void write(Path results, String name, Fate fate, String text) throws IOException {
    Files.writeString(
        results,
        name + "\t" + fate + "\t" + text.replace("\n", " | ").replace("\t", " ") + "\n",
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  /** Returns why the model is refused; nothing if it trains. */
  private String look() throws IOException {
    String refusal = differentiate(UncheckedGradients.REFUSE);
    String refused = fineTune();
    if (refusal.isEmpty()) {
      return refused.isEmpty() ? "" : "(trains elsewhere) " + refused;
    }
    check(!refused.isEmpty(), "fine-tune trains what is refused elsewhere: " + refusal);
    String allowed;
    try {
      allowed = differentiate(UncheckedGradients.ALLOW);
    } catch (AssertionError e) {
      allowed = "wrong, " + e.getMessage();
    }
    fineTune("--allow-unchecked-gradients");
    return refused + " [unchecked: " + (allowed.isEmpty() ? "right" : allowed) + "]";
  }

  private static void check(boolean truth, String message) {
    if (!truth) {
      throw new AssertionError(message);
    }
  }

  /** Compares gradients; returns why there are none. */
  private String differentiate(UncheckedGradients unchecked) throws IOException {
    try (TrainableModel model = TrainableModel.load(folder.resolve(name), "serving_default")) {
      List<ModelVariable> trained =
          model.variables().stream().filter(ModelVariable::trainable).toList();
      model.training().requireGradients("y", trained, unchecked);
      Output<?> y = model.training().outputs().get("y");
      check(
          expected.get("gradients").isObject(),
          "gradients are promised that Python does not have: " + expected.path("failure"));
      compare(model, y, trained);
      return "";
    } catch (IllegalArgumentException e) {
      check(e.getMessage().lines().count() == 1, "several lines: " + e.getMessage());
      check(e.getClass() == IllegalArgumentException.class, "not ours: " + e);
      return e.getMessage();
    }
  }

  private void compare(TrainableModel model, Output<?> y, List<ModelVariable> trained) {
    Ops tf = Ops.create(model.graph());
    Operand<?> cotangent = constant(tf, expected.get("cotangent"));
    Output<?>[] gradients =
        model
            .graph()
            .addGradients(
                null,
                new Output<?>[] {y},
                trained.stream().map(ModelVariable::handle).toArray(Output<?>[]::new),
                new Output<?>[] {cast(tf, cotangent.asOutput(), y.type())});
    Map<String, Output<?>> fetched = new LinkedHashMap<>();
    for (int i = 0; i < gradients.length; i++) {
      String variable = trained.get(i).name();
      JsonNode gradient = expected.get("gradients").get(variable);
      check(gradient != null, "Python has no variable " + variable);
      if (gradient.isNull() && !gradients[i].isClosed()) {
        fetched.put(variable, cast(tf, gradients[i], TFloat64.class));
      } else {
        check(
            gradient.isNull() || !gradients[i].isClosed(), variable + " has a gradient in Python");
        if (!gradient.isNull()) {
          fetched.put(variable, cast(tf, gradients[i], TFloat64.class));
        }
      }
    }
    Session.Runner runner = feed(model, model.session().runner());
    runner.fetch(cast(tf, y, TFloat64.class));
    fetched.values().forEach(runner::fetch);
    try (Result result = runner.run()) {
      requireClose("y", expected.get("y"), (TFloat64) result.get(0));
      int i = 1;
      for (String variable : fetched.keySet()) {
        requireClose(
            "the gradient of " + variable,
            expected.get("gradients").get(variable),
            (TFloat64) result.get(i++));
      }
    }
  }

  private Session.Runner feed(TrainableModel model, Session.Runner runner) {
    for (Iterator<String> names = expected.get("inputs").fieldNames(); names.hasNext(); ) {
      String input = names.next();
      Output<?> placeholder = model.inputs().get(input);
      try (var values = new org.tensorflow.Graph();
          Session session = new Session(values)) {
        Ops tf = Ops.create(values);
        Operand<?> value = constant(tf, expected.get("inputs").get(input));
        Class<? extends TType> type = placeholder.type();
        Tensor tensor = session.runner().fetch(cast(tf, value.asOutput(), type)).run().get(0);
        runner.feed(placeholder, tensor);
      }
    }
    return runner;
  }

  @SuppressWarnings("unchecked")
  private static Output<?> cast(Ops tf, Output<?> value, Class<? extends TType> type) {
    return value.type().equals(type)
        ? value
        : tf.dtypes
            .cast((Operand<? extends TType>) value, (Class<? extends TNumber>) type)
            .asOutput();
  }

  private static Constant<? extends TType> constant(Ops tf, JsonNode numbers) {
    Shape shape =
        Shape.of(
            StreamSupport.stream(numbers.get("shape").spliterator(), false)
                .mapToLong(JsonNode::asLong)
                .toArray());
    JsonNode values = numbers.get("values");
    return switch (numbers.get("dtype").asText()) {
      case "string" -> {
        List<String> texts = new ArrayList<>();
        values.forEach(value -> texts.add(value.asText()));
        yield tf.constant(
            TString.tensorOf(shape, DataBuffers.ofObjects(texts.toArray(String[]::new))));
      }
      case "bool" -> {
        boolean[] truths = new boolean[values.size()];
        for (int i = 0; i < truths.length; i++) {
          truths[i] = values.get(i).asBoolean();
        }
        yield tf.constant(TBool.tensorOf(shape, DataBuffers.of(truths)));
      }
      default -> tf.constant(TFloat64.tensorOf(shape, DataBuffers.of(doubles(values))));
    };
  }

  private static double[] doubles(JsonNode values) {
    double[] doubles = new double[values.size()];
    for (int i = 0; i < doubles.length; i++) {
      doubles[i] = values.get(i).asDouble();
    }
    return doubles;
  }

  private static void requireClose(String what, JsonNode expected, TFloat64 tensor) {
    double[] wanted =
        expected.isNull() ? new double[(int) tensor.size()] : doubles(expected.get("values"));
    double[] actual = new double[(int) tensor.size()];
    tensor.copyTo(DataBuffers.of(actual, false, false));
    check(
        wanted.length == actual.length,
        "%s has %d elements, not %d".formatted(what, actual.length, wanted.length));
    double largest = 0;
    double difference = 0;
    for (int i = 0; i < wanted.length; i++) {
      largest = Math.max(largest, Math.abs(wanted[i]));
      double d = Math.abs(wanted[i] - actual[i]);
      difference = Double.isNaN(d) ? d : Math.max(difference, d);
    }
    String type = expected.isNull() ? "none" : expected.get("dtype").asText();
    double tolerance = TOLERANCE * (type.equals("float16") || type.equals("bfloat16") ? 1e4 : 1);
    check(
        difference <= tolerance * largest,
        "%s differs by %.2g, its largest element is %.2g, it is %s in Python"
            .formatted(what, difference, largest, type));
  }

  private int rows() {
    JsonNode shape = expected.path("y").path("shape");
    return Math.max(1, shape.path(0).asInt(1));
  }

  /** Trains one step with the program; returns why it does not. */
  private String fineTune(String... more) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "fine-tune",
                "--model=" + folder.resolve(name),
                "--labels=" + folder.resolve(name + ".y.npy"),
                "--output-name=y",
                "--loss=mean-squared-error",
                "--learning-rate=0.01",
                "--epsilon-1=1e-16",
                "--epochs=1",
                "--batch-size=" + rows()));
    expected
        .get("inputs")
        .fieldNames()
        .forEachRemaining(
            input ->
                arguments.add(
                    "--features=%s=%s"
                        .formatted(input, folder.resolve(name + ".x." + input + ".npy"))));
    arguments.addAll(List.of(more));
    StringWriter err = new StringWriter();
    int exitCode =
        Main.commandLine()
            .setOut(new PrintWriter(new StringWriter()))
            .setErr(new PrintWriter(err))
            .execute(arguments.toArray(String[]::new));
    if (exitCode == 0) {
      return "";
    }
    String said = err.toString().strip();
    check(exitCode == 2 && said.lines().count() == 1, "exit code " + exitCode + ": " + said);
    check(!said.contains("Exception"), said);
    return said.replaceFirst("^adafactor fine-tune: ", "");
  }
}
