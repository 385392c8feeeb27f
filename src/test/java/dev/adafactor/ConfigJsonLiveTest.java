package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.python.Python;
import dev.adafactor.schedules.ConfigReader;
import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.CosineDecay;
import dev.adafactor.schedules.CosineDecayRestarts;
import dev.adafactor.schedules.ExponentialDecay;
import dev.adafactor.schedules.InverseTimeDecay;
import dev.adafactor.schedules.LearningRateSchedule;
import dev.adafactor.schedules.PiecewiseConstantDecay;
import dev.adafactor.schedules.PolynomialDecay;
import dev.adafactor.schedules.ScheduleRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GraphOptions;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** Configurations that go to Python's tf_keras and come from there. */
@Tag("live")
@Tag("newest")
class ConfigJsonLiveTest {
  private static final int COUNT = 300;
  private static final int CHANGED = Boolean.getBoolean("live.full") ? 3000 : 300;

  /** Those of {@code configurations.py}. */
  private static final long[] STEPS = {0, 1, 2, 3, 7, 50, 1000, 12_345};

  private static final ScheduleRegistry SCHEDULES =
      ScheduleRegistry.standard().with(InverseRoot.NAME, InverseRoot::of).with(Half.NAME, Half::of);

  private static final ConfigProto AS_WRITTEN =
      ConfigProto.newBuilder()
          .setGraphOptions(
              GraphOptions.newBuilder()
                  .setRewriteOptions(RewriterConfig.newBuilder().setDisableMetaOptimizer(true)))
          .build();

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .enable(DeserializationFeature.USE_BIG_INTEGER_FOR_INTS)
          .build();

  private static final List<String> NAMES =
      List.of(
          "Adafactor",
          "optimizer \"a\" \u00fc\\n",
          "\u6700\u9069\u5316",
          "\ud83d\ude80 / ",
          "\t{}");

  private static long seed;

  /** What Python drew, and what became of it on the way through Java and back. */
  private static List<JsonNode> drawn;

  private static final List<String> THROUGH_JAVA = new ArrayList<>();
  private static List<JsonNode> drawnThroughJava;

  /** What Java drew, and what Python made of it. */
  private static final List<String> OWN = new ArrayList<>();

  private static List<JsonNode> ownThroughPython;

  private static final List<Malformed> MALFORMED = new ArrayList<>();
  private static List<JsonNode> malformedInPython;

  /** Python starts twice in all: that is what takes long. */
  @BeforeAll
  static void exchange(@TempDir Path folder) throws Exception {
    seed = Long.getLong("live.seed", new Random().nextInt(1 << 30));
    System.out.println("configurations of seed " + seed + "; -Dlive.seed=" + seed);
    Path out = folder.resolve("drawn.json");
    Python.run("configurations.py", "draw", out, "--seed", seed, "--count", COUNT);
    drawn = read(out);
    for (JsonNode one : drawn) {
      try (Graph graph = new Graph()) {
        Adafactor adafactor = fromConfig(graph, one.get("text").textValue());
        THROUGH_JAVA.add(THROUGH_JAVA.size() % 2 == 0 ? adafactor.toJson() : adafactor.serialize());
      }
    }
    Random random = new Random(seed);
    for (int i = 0; i < COUNT; i++) {
      try (Graph graph = new Graph()) {
        OWN.add(random(graph, random, i).toJson());
      }
    }
    for (int i = 0; i < CHANGED; i++) {
      int of = i % COUNT;
      String sound = i % 2 == 0 ? OWN.get(of) : drawn.get(of).get("text").textValue();
      MALFORMED.add(Malformed.of(sound, random));
    }
    Path texts = folder.resolve("texts.json");
    Path read = folder.resolve("read.json");
    List<String> malformed = MALFORMED.stream().map(Malformed::text).toList();
    JSON.writeValue(
        texts.toFile(), Stream.of(THROUGH_JAVA, OWN, malformed).flatMap(List::stream).toList());
    Python.run("configurations.py", "read", texts, read);
    List<JsonNode> results = read(read);
    drawnThroughJava = results.subList(0, COUNT);
    ownThroughPython = results.subList(COUNT, 2 * COUNT);
    malformedInPython = results.subList(2 * COUNT, results.size());
  }

  private static List<JsonNode> read(Path file) throws IOException {
    List<JsonNode> list = new ArrayList<>();
    JSON.readTree(file.toFile()).forEach(list::add);
    return list;
  }

  private static Adafactor fromConfig(Graph graph, String json) {
    return Adafactor.fromConfig(graph, json, SCHEDULES).build();
  }

  /** A schedule of a user's, that Python registered as {@code adafactor_tests>InverseRoot}. */
  private record InverseRoot(double base) implements ConfigurableSchedule {
    static final String NAME = "adafactor_tests>InverseRoot";

    static InverseRoot of(ConfigReader config) {
      return new InverseRoot(config.number("base"));
    }

    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      Operand<TFloat32> next = tf.math.add(tf.dtypes.cast(step, TFloat32.class), tf.constant(1f));
      return tf.math.mul(tf.constant((float) base), tf.math.rsqrt(next));
    }

    @Override
    public String registeredName() {
      return NAME;
    }

    @Override
    public Map<String, Object> config() {
      return Map.of("base", base);
    }
  }

  /** One made of another one. */
  private record Half(LearningRateSchedule of) implements ConfigurableSchedule {
    static final String NAME = "adafactor_tests>Half";

    static Half of(ConfigReader config) {
      return new Half(config.schedule("of"));
    }

    @Override
    public Operand<TFloat32> learningRate(Ops tf, Operand<TInt64> step) {
      return tf.math.mul(tf.constant(0.5f), of.learningRate(tf, step));
    }

    @Override
    public String registeredName() {
      return NAME;
    }

    @Override
    public Map<String, Object> config() {
      return Map.of("of", of);
    }
  }

  /** Of any size that float32 holds. */
  private static double number(Random random) {
    return random.nextBoolean()
        ? random.nextDouble()
        : random.nextDouble() * Math.pow(10, random.nextInt(-36, 38));
  }

  private static Adafactor random(Graph graph, Random random, int index) {
    Adafactor.Builder builder =
        Adafactor.builder(graph)
            .beta2Decay(-random.nextDouble())
            .epsilon1(number(random))
            .epsilon2(number(random))
            .clipThreshold(random.nextInt(10) == 0 ? Double.POSITIVE_INFINITY : number(random))
            .relativeStep(random.nextBoolean())
            .jitCompile(false)
            .name(NAMES.get(random.nextInt(NAMES.size())) + random.nextInt(100));
    if (index % 2 == 0) {
      builder.learningRate(schedule(random, index / 2));
    } else {
      builder.learningRate(random.nextBoolean() ? number(random) : -number(random));
    }
    if (random.nextBoolean()) {
      builder.weightDecay(number(random));
    }
    switch (random.nextInt(4)) {
      case 0 -> builder.clipnorm(number(random));
      case 1 -> builder.globalClipnorm(random.nextInt(5));
      case 2 -> builder.clipvalue(number(random));
      default -> {}
    }
    if (random.nextBoolean()) {
      builder.useEma(true).emaMomentum(random.nextDouble());
    }
    if (random.nextBoolean()) {
      builder.emaOverwriteFrequency(
          1 + random.nextInt(random.nextBoolean() ? 1000 : Integer.MAX_VALUE));
    }
    return builder.build();
  }

  /** Of the kinds in turn, and so what some of them are made of. */
  private static LearningRateSchedule schedule(Random random, int index) {
    double rate = random.nextDouble() * Math.pow(10, random.nextInt(-8, 9));
    double steps = random.nextBoolean() ? 1 + random.nextInt(50) : 50 * random.nextDouble() + 1;
    double factor = random.nextDouble();
    boolean either = random.nextBoolean();
    String name = either ? "a_name" : null;
    return switch (index % 8) {
      case 0 -> new ExponentialDecay(rate, steps, factor, either, name);
      case 1 -> new InverseTimeDecay(rate, steps, factor, either, name);
      case 2 -> new PolynomialDecay(rate, steps, factor, 2 * factor, either, name);
      case 3 ->
          new PiecewiseConstantDecay(
              List.of(steps, steps + random.nextInt(9)), List.of(rate, factor, -rate), name);
      case 4 -> new CosineDecay(rate, steps, factor, name, either ? factor : null, steps);
      case 5 -> new CosineDecayRestarts(rate, steps, 1 + factor, rate, factor, name);
      case 6 -> new InverseRoot(rate);
      default -> new Half(schedule(random, index / 8));
    };
  }

  /** Numbers and truth values by their value, as Python compares them. */
  private static JsonNode normalized(JsonNode node) {
    JsonNodeFactory factory = JsonNodeFactory.instance;
    if (node.isNumber()) {
      return factory.numberNode(node.doubleValue());
    }
    if (node.isBoolean()) {
      return factory.numberNode(node.booleanValue() ? 1.0 : 0.0);
    }
    if (node instanceof ArrayNode array) {
      ArrayNode result = factory.arrayNode();
      array.forEach(element -> result.add(normalized(element)));
      return result;
    }
    if (node instanceof ObjectNode object) {
      ObjectNode result = factory.objectNode();
      object.properties().forEach(e -> result.set(e.getKey(), normalized(e.getValue())));
      return result;
    }
    return node;
  }

  private static JsonNode config(JsonNode described) throws IOException {
    return normalized(JSON.readTree(described.get("config").textValue()));
  }

  /** The schedule's rates at STEPS, as bits; none where the rate is a number. */
  private static List<Long> rates(String json) throws IOException {
    JsonNode root = JSON.readTree(json);
    JsonNode config = root.has("class_name") ? root.get("config") : root;
    List<Long> bits = new ArrayList<>();
    if (!config.get("learning_rate").isObject()) {
      return bits;
    }
    Map<String, Object> serialized =
        JSON.convertValue(config.get("learning_rate"), new TypeReference<Map<String, Object>>() {});
    LearningRateSchedule schedule = SCHEDULES.read("learning_rate", serialized);
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      List<Operand<TFloat32>> rates = new ArrayList<>();
      for (long step : STEPS) {
        rates.add(schedule.learningRate(tf, tf.constant(step)));
      }
      try (Session session = new Session(graph, true, AS_WRITTEN)) {
        Session.Runner runner = session.runner();
        rates.forEach(runner::fetch);
        try (Result result = runner.run()) {
          for (int i = 0; i < STEPS.length; i++) {
            float rate = ((TFloat32) result.get(i)).getFloat();
            bits.add(Integer.toUnsignedLong(Float.floatToRawIntBits(rate)));
          }
        }
      }
    }
    return bits;
  }

  private static List<Long> rates(JsonNode described) {
    List<Long> bits = new ArrayList<>();
    described.get("rates").forEach(rate -> bits.add(rate.longValue()));
    return bits;
  }

  private static String place(int index, String text) {
    return "seed " + seed + ", configuration " + index + ": " + text;
  }

  @Test
  void fromPythonThroughJavaToPython() throws IOException {
    int schedules = 0;
    for (int i = 0; i < COUNT; i++) {
      JsonNode before = drawn.get(i);
      JsonNode after = drawnThroughJava.get(i);
      String place = place(i, THROUGH_JAVA.get(i));
      assertTrue(after.has("config"), place + ": " + after);
      assertEquals(config(before), config(after), place);
      assertEquals(rates(before), rates(after), place);
      assertEquals(rates(before), rates(THROUGH_JAVA.get(i)), place);
      schedules += rates(before).isEmpty() ? 0 : 1;
    }
    assertTrue(schedules > COUNT / 10, schedules + " schedules");
  }

  @Test
  void fromJavaThroughPythonToJava() throws IOException {
    for (int i = 0; i < COUNT; i++) {
      JsonNode read = ownThroughPython.get(i);
      String place = place(i, OWN.get(i));
      assertTrue(read.has("config"), place + ": " + read);
      try (Graph graph = new Graph()) {
        String config = read.get("config").textValue();
        assertEquals(OWN.get(i), fromConfig(graph, config).toJson(), place);
      }
      assertEquals(rates(OWN.get(i)), rates(read), place);
    }
  }

  /** Which values of an argument there are: kinds of schedules, and whether it is null. */
  private static void collect(String place, JsonNode value, Set<String> found) {
    if (value.has("class_name")) {
      String name =
          value.path("registered_name").isTextual()
              ? value.get("registered_name").textValue()
              : value.get("class_name").textValue();
      found.add(place + name);
      value.get("config").forEach(each -> collect(place + name + " of ", each, found));
    } else if (value.isValueNode()) {
      found.add(place + (value.isNull() ? "nothing" : "something"));
    }
  }

  private static Set<String> values(List<String> configurations) throws IOException {
    Set<String> found = new TreeSet<>();
    for (String each : configurations) {
      JsonNode root = JSON.readTree(each);
      JsonNode config = root.has("class_name") ? root.get("config") : root;
      config.properties().forEach(e -> collect(e.getKey() + ": ", e.getValue(), found));
    }
    return found;
  }

  /** Else the others prove less than they say. */
  @Test
  void theyHaveEveryKindOfValue() throws IOException {
    List<String> wanted = new ArrayList<>(List.of("learning_rate: something"));
    for (String argument :
        List.of(
            "weight_decay",
            "clipnorm",
            "global_clipnorm",
            "clipvalue",
            "ema_overwrite_frequency")) {
      wanted.addAll(List.of(argument + ": nothing", argument + ": something"));
    }
    Set<String> schedules = SCHEDULES.names();
    schedules.forEach(name -> wanted.add("learning_rate: " + name));
    List<String> texts = new ArrayList<>();
    for (JsonNode one : drawn) {
      texts.add(one.get("config").textValue());
    }
    assertEquals(List.of(), missing(wanted, values(texts)), place(0, "of Python's"));
    schedules.forEach(name -> wanted.add("learning_rate: " + Half.NAME + " of " + name));
    assertEquals(List.of(), missing(wanted, values(OWN)), place(0, "of Java's"));
  }

  private static List<String> missing(List<String> wanted, Set<String> found) {
    return wanted.stream().filter(each -> !found.contains(each)).toList();
  }

  @Test
  void malformedOnesAreRefusedHereAndThereButForTheDifferencesThatAreNamed() {
    Map<Difference, Integer> counts = new EnumMap<>(Difference.class);
    List<String> unexplained = new ArrayList<>();
    List<String> unnamed = new ArrayList<>();
    int refused = 0;
    for (int i = 0; i < CHANGED; i++) {
      Malformed malformed = MALFORMED.get(i);
      JsonNode python = malformedInPython.get(i);
      boolean refusedThere = python.has("refused");
      Optional<String> refusal = refusal(malformed.text());
      if (refusal.isPresent()) {
        assertEquals(1, refusal.get().lines().count(), refusal.get());
        if (!malformed.isNamedIn(refusal.get())) {
          unnamed.add(place(i, malformed + ": " + refusal.get()));
        }
      }
      if (refusal.isPresent() && refusedThere) {
        refused++;
      } else if (refusal.isPresent() != refusedThere) {
        Optional<Difference> difference =
            Stream.of(Difference.values())
                .filter(d -> d.isStricter == refusal.isPresent() && d.explains(malformed))
                .findFirst();
        if (difference.isEmpty()) {
          unexplained.add(
              place(
                  i, malformed + "; Java: " + refusal.orElse("takes it") + "; Python: " + python));
        }
        difference.ifPresent(d -> counts.merge(d, 1, Integer::sum));
      }
    }
    System.out.println(refused + " refused by both; differences: " + counts);
    assertEquals(List.of(), unnamed, () -> String.join("\n", unnamed));
    assertEquals(List.of(), unexplained, () -> String.join("\n", unexplained));
    assertTrue(refused > CHANGED / 5, refused + " of " + CHANGED);
  }

  private static Optional<String> refusal(String json) {
    try (Graph graph = new Graph()) {
      fromConfig(graph, json);
      return Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.of(e.getMessage());
    }
  }

  /** The differences from tf_keras that the Javadoc of Adafactor and the README list. */
  private enum Difference {
    NOT_FINITE(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.value().isNumber()
            && !Float.isFinite((float) malformed.value().doubleValue());
      }
    },
    NO_NUMBER_OR_TRUTH_VALUE(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.value().isTextual() || malformed.value().isContainerNode();
      }
    },
    NAME_THAT_IS_NO_TEXT(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.key().equals("name");
      }
    },
    NO_STEPS(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.key().endsWith("decay_steps") && (float) malformed.value().asDouble() == 0;
      }
    },
    FREQUENCY_OF_32_BITS(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.key().equals("ema_overwrite_frequency");
      }
    },
    KEYS_OF_THE_SERIALIZED_FORM(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.inForm();
      }
    },
    KEY_TWICE(true) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.change() == Change.DUPLICATE;
      }
    },
    NUMBER_OF_ANY_TYPE(false) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.value().isIntegralNumber() || malformed.value().isBoolean();
      }
    },
    CLASS_NAME_IS_ENOUGH(false) {
      @Override
      boolean explains(Malformed malformed) {
        return malformed.key().equals("module") && malformed.inForm();
      }
    };

    /** Whether it is this project that refuses. */
    private final boolean isStricter;

    Difference(boolean isStricter) {
      this.isStricter = isStricter;
    }

    abstract boolean explains(Malformed malformed);
  }

  private enum Change {
    REPLACE,
    REMOVE,
    ADD,
    DUPLICATE,
    CUT
  }

  /**
   * A configuration with one change.
   *
   * @param key the argument that was changed, or the one that a list is the value of
   * @param value the new value, or a missing one
   * @param inForm whether the change is beside a {@code class_name}
   */
  private record Malformed(String text, Change change, String key, JsonNode value, boolean inForm) {
    private static final List<String> VALUES =
        List.of(
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "3",
            "0.5",
            "-2.5",
            "\"\"",
            "\"x\"",
            "[]",
            "[1]",
            "{}",
            "{\"a\": 1}",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e39",
            "1e300",
            "1e400",
            "1e-60",
            "4294967296",
            "100000000000000000000");

    static Malformed of(String text, Random random) throws IOException {
      JsonNode root = JSON.readTree(text);
      List<ObjectNode> objects = new ArrayList<>();
      collect(root, objects);
      ObjectNode object = objects.get(random.nextInt(objects.size()));
      boolean inForm = object.has("class_name");
      List<String> keys = new ArrayList<>();
      object.fieldNames().forEachRemaining(keys::add);
      String key = keys.get(random.nextInt(keys.size()));
      JsonNode value = JSON.readTree(VALUES.get(random.nextInt(VALUES.size())));
      JsonNode none = JsonNodeFactory.instance.missingNode();
      Change change =
          List.of(
                  Change.REPLACE,
                  Change.REPLACE,
                  Change.REPLACE,
                  Change.REPLACE,
                  Change.REMOVE,
                  Change.ADD,
                  Change.DUPLICATE,
                  Change.CUT)
              .get(random.nextInt(8));
      switch (change) {
        case REPLACE -> {
          if (object.get(key) instanceof ArrayNode list && random.nextBoolean()) {
            list.set(random.nextInt(list.size()), value);
          } else {
            object.set(key, value);
          }
          return new Malformed(JSON.writeValueAsString(root), change, key, value, inForm);
        }
        case REMOVE -> {
          object.remove(key);
          return new Malformed(JSON.writeValueAsString(root), change, key, none, inForm);
        }
        case ADD -> {
          object.set("more", value);
          return new Malformed(JSON.writeValueAsString(root), change, "more", value, inForm);
        }
        case DUPLICATE -> {
          String twice = "{" + JSON.writeValueAsString(key) + ":" + object.get(key) + ",";
          String written = JSON.writeValueAsString(root);
          String part = JSON.writeValueAsString(object);
          return new Malformed(
              written.replace(part, twice + part.substring(1)), change, key, none, inForm);
        }
        default -> {
          String cut = text.substring(0, random.nextInt(text.length()));
          return new Malformed(cut, change, key, none, inForm);
        }
      }
    }

    /**
     * Whether a line names what is wrong: the argument, or the one that it makes impossible, or
     * what is missing in a {@code config}, or the class that is unknown, or what is no JSON.
     */
    boolean isNamedIn(String line) {
      return switch (change) {
        case CUT -> line.contains("not JSON") || line.contains("must be a JSON object");
        case DUPLICATE -> line.contains("'" + key + "'");
        // Without its class a form is taken for the arguments themselves.
        case REMOVE -> line.contains(key) || (inForm && key.equals("class_name"));
        default ->
            line.contains(key)
                || (key.equals("use_ema") && line.contains("ema_momentum"))
                || (inForm && (key.equals("config") || line.contains("'" + value.asText() + "'")));
      };
    }

    private static void collect(JsonNode node, List<ObjectNode> objects) {
      if (node instanceof ObjectNode object && !object.isEmpty()) {
        objects.add(object);
      }
      node.forEach(child -> collect(child, objects));
    }
  }
}
