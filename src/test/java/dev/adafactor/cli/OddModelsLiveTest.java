package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.adafactor.JavaProcess;
import dev.adafactor.cli.OddModels.Fate;
import dev.adafactor.python.Python;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Models that are legal and odd: each is trained with Python's gradients or refused in one line, by
 * the library and by the program, and never takes the process down. So each is looked at in another
 * process.
 */
@Tag("live")
class OddModelsLiveTest {
  @TempDir Path folder;

  private record Look(Fate fate, String text) {}

  @Test
  void noneTakesTheProcessDown() throws Exception {
    assumeTrue(Boolean.getBoolean("live.full"), "-Dlive.full=true runs it");
    List<String> names = names();
    List<Object> arguments = new ArrayList<>(List.of(folder));
    arguments.addAll(names);
    Python.run("odd_models.py", arguments.toArray());
    Map<String, Look> looks = looks(names);
    looks.forEach((name, look) -> System.out.println(name + ": " + look));
    assertEquals(List.copyOf(names), List.copyOf(looks.keySet()));
    assertEquals(
        "",
        String.join(
            "\n",
            looks.entrySet().stream()
                .filter(look -> look.getValue().fate != Fate.TRAINED)
                .filter(look -> look.getValue().fate != Fate.REFUSED)
                .map(Object::toString)
                .toList()));
    assertTrue(
        looks.values().stream().anyMatch(look -> look.fate == Fate.TRAINED), looks::toString);
  }

  private static List<String> names() throws Exception {
    return Python.run("odd_models.py", "--list").lines().filter(OddModelsLiveTest::isName).toList();
  }

  private static boolean isName(String line) {
    return line.matches("[a-z0-9_]+");
  }

  /** Looks at the models in as many processes as it takes: one that ends names its last model. */
  private Map<String, Look> looks(List<String> names) throws Exception {
    Path results = folder.resolve("results.txt");
    Map<String, Look> looks = new LinkedHashMap<>();
    while (looks.size() < names.size()) {
      int before = looks.size();
      process(results, names.subList(before, names.size()));
      looks.putAll(read(results));
      assertNotEquals(before, looks.size(), "a process looked at no model");
    }
    return looks;
  }

  private static Map<String, Look> read(Path results) throws IOException {
    Map<String, Look> looks = new LinkedHashMap<>();
    try (Stream<String> lines = Files.lines(results)) {
      lines
          .map(line -> line.split("\t", -1))
          .forEach(parts -> looks.put(parts[0], new Look(Fate.valueOf(parts[1]), parts[2])));
    }
    return looks;
  }

  private void process(Path results, List<String> names) throws Exception {
    ProcessBuilder builder =
        JavaProcess.builder(
            List.of(
                "-Xmx1g",
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
                "-Dorg.bytedeco.javacpp.maxbytes=0",
                "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=" + folder.resolve("crash.log")),
            OddModels.class,
            folder,
            results);
    builder.command().addAll(names);
    builder
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("process.log").toFile())
        .start()
        .waitFor();
  }
}
