package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.Mode;
import dev.adafactor.savedmodel.ModelDescription;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.SessionFunction;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.TString;

/** What is handed back is complete by Python's measure, in whichever way Python wrote the model. */
@Tag("live")
class ExportedKindsLiveTest {
  private static final float[][] NUMBERS = {{0, 1, -1, 2, 0.5f}, {1, 0.25f, 3, -2, 0}};
  private static final String[] WORDS = {"one", "four", "something else"};

  @TempDir static Path kinds;
  @TempDir Path folder;

  @BeforeAll
  static void exportFromPython() throws Exception {
    Python.run("export_kinds.py", kinds);
  }

  @ParameterizedTest
  @ValueSource(strings = {"saved", "uncompiled", "exported", "keras3", "module"})
  void isComplete(String kind) throws Exception {
    Path input = folder.resolve("input");
    copy(kinds.resolve(kind), input);
    Map<Path, String> before = files(input);
    ModelDescription described = ModelDescription.of(input);
    assertEquals(
        kind.equals("keras3") ? described.variables().size() : 0, described.twinVariables());
    Path trained = folder.resolve("trained");
    FineTuningResult first = train(kind, input, trained);
    assertEquals(before, files(input));
    assertTrue(first.after().orElseThrow().loss() < first.before().orElseThrow().loss());
    assertEquals(files(input).keySet(), files(trained).keySet());
    assertEquals(modes(input), modes(trained));

    Path again = folder.resolve("again");
    FineTuningResult second = train(kind, trained, again);
    assertEquals(
        first.after().orElseThrow().loss(), second.before().orElseThrow().loss(), 1e-6, kind);
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(Set.of(input, trained, again), Set.copyOf(files.toList()));
    }

    // Nothing in the export refers to the folder that it came from.
    Path moved = Files.move(input, folder.resolve("moved"));
    assertPythonAgrees(kind, moved, List.of(trained, again));
  }

  private static FineTuningResult train(String kind, Path model, Path export) throws IOException {
    Path features = kinds.resolve(kind + "-x.npy");
    Path labels = kinds.resolve(kind + "-y.npy");
    return FineTuning.builder(model, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(features)
        .labels(labels)
        .validationFeatures(features)
        .validationLabels(labels)
        .batchSize(16)
        .epochs(3)
        .mode(Mode.INFERENCE)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(0.01).epsilon1(1e-16).build())
        .export(export)
        .build()
        .run();
  }

  private void assertPythonAgrees(String kind, Path before, List<Path> exports) throws Exception {
    JsonMapper json = new JsonMapper();
    Path probe = folder.resolve("probe.json");
    List<Object> arguments =
        new ArrayList<>(
            List.of(before, probe, kinds.resolve(kind + "-x.npy"), kinds.resolve(kind + "-y.npy")));
    arguments.addAll(exports);
    Object examples = kind.equals("module") ? WORDS : NUMBERS;
    Files.write(probe, json.writeValueAsBytes(examples));
    System.out.print(kind + ": " + Python.run("check_kinds.py", arguments.toArray()));
    for (Path export : exports) {
      assertJavaAgrees(kind, export, json.readTree(Path.of(export + ".json").toFile()));
    }
  }

  private static void assertJavaAgrees(String kind, Path export, JsonNode python) {
    try (SavedModelBundle bundle = SavedModelBundle.load(export.toString());
        Tensor tensor =
            kind.equals("module")
                ? TString.vectorOf(WORDS)
                : TFloat32.tensorOf(StdArrays.ndCopyOf(NUMBERS))) {
      List<SessionFunction> functions =
          bundle.functions().stream()
              .filter(function -> python.has(function.signature().key()))
              .toList();
      assertEquals(python.size(), functions.size());
      for (SessionFunction function : functions) {
        Map<String, Tensor> arguments = new TreeMap<>();
        function.signature().inputNames().forEach(name -> arguments.put(name, tensor));
        try (Result results = function.call(arguments)) {
          for (String name : function.signature().outputNames()) {
            assertClose(
                numbers(python.get(function.signature().key()).get(name)),
                numbers(results.get(name).orElseThrow()));
          }
        }
      }
    }
  }

  private static void assertClose(double[] expected, double[] actual) {
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 1e-6);
    }
  }

  private static double[] numbers(JsonNode nested) {
    List<Double> numbers = new ArrayList<>();
    collect(nested, numbers);
    return numbers.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static void collect(JsonNode nested, List<Double> numbers) {
    if (nested.isArray()) {
      nested.forEach(element -> collect(element, numbers));
    } else {
      numbers.add(nested.doubleValue());
    }
  }

  private static double[] numbers(Tensor tensor) {
    List<Double> numbers = new ArrayList<>();
    if (tensor instanceof TInt64 longs) {
      longs.scalars().forEach(scalar -> numbers.add((double) scalar.getLong()));
    } else {
      ((TFloat32) tensor).scalars().forEach(scalar -> numbers.add((double) scalar.getFloat()));
    }
    return numbers.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }

  /** Every file below a folder, with its content. */
  private static Map<Path, String> files(Path root) throws IOException {
    Map<Path, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        contents.put(root.relativize(file), Arrays.toString(Files.readAllBytes(file)));
      }
    }
    return contents;
  }

  private static Map<Path, Set<PosixFilePermission>> modes(Path root) throws IOException {
    Map<Path, Set<PosixFilePermission>> modes = new TreeMap<>();
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.toList()) {
        modes.put(root.relativize(file), Files.getPosixFilePermissions(file));
      }
    }
    return modes;
  }
}
